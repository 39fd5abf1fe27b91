"""Print the answers of a results file, each under its id: `python answers.py RESULTS`."""

import json
import sys
from pathlib import Path

for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines():
    result = json.loads(line)
    if result["error"]:
        said = result["error"]["message"]
    else:
        said = result["response"]["body"]["choices"][0]["message"]["content"]
    print(f"{result['custom_id']}: {said}")
