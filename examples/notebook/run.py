"""Run the code cells of a notebook, in order, in one event loop: `python run.py NOTEBOOK`."""

import ast
import asyncio
import inspect
import json
import os
import sys
from pathlib import Path


async def run(notebook: Path) -> None:
    names: dict[str, object] = {}
    os.chdir(notebook.parent)  # as Jupyter does
    for cell in json.loads(Path(notebook.name).read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            code = compile(
                "".join(cell["source"]), notebook.name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            )
            waiting = eval(code, names)
            if inspect.isawaitable(waiting):
                await waiting


asyncio.run(run(Path(sys.argv[1])))
