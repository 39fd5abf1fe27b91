"""Recorded machines for the server's doctor: files below a folder, and answers of programs."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from server_bundle import doctor
from server_bundle.doctor import Finding, Machine, Severity
from server_bundle.doctor.facts.commands import Answer
from server_bundle.doctor.facts.machine import Space
from server_bundle.plan.launch_plan import LaunchPlan

DATA = Path(__file__).parents[1] / "data/machines"
GIB = 1 << 30


@dataclass
class Recorded:
    """A machine that can be changed before it is looked at."""

    root: Path
    files: dict[str, str]
    commands: dict[str, dict[str, Any]]
    space: dict[str, list[int]]
    environment: dict[str, str] = field(default_factory=dict)
    ours: dict[int, str] = field(default_factory=dict)

    def machine(self) -> Machine:
        """As the doctor sees it."""
        for name, text in self.files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return Machine(self.root, self.answer, self.room, {"HOME": "/home/me"}, self.ours)

    def answer(self, argv: Sequence[str]) -> Answer | None:
        """By the longest beginning of the command line; interpreters all count as python."""
        words = ["python" if Path(argv[0]).name.startswith("python") else argv[0], *argv[1:]]
        asked = " ".join(word for word in words if word not in ("-W", "ignore"))
        known = [start for start in self.commands if asked.startswith(start)]
        if not known:
            return None
        found = self.commands[max(known, key=len)]
        return Answer(found["status"], found.get("out", ""), found.get("err", ""))

    def room(self, path: Path) -> Space | None:
        name = "/dev/shm" if path == self.root / "dev/shm" else "/"
        total, free = self.space[name]
        return Space(total, free)

    def inside(self, **changes: str | None) -> None:
        """Change what is installed in the server's interpreter; None takes a package out."""
        told = json.loads(self.commands["python -c"]["out"])
        for name, version in changes.items():
            name = name.replace("_", "-")
            if version is None:
                told["packages"].pop(name, None)
            else:
                told["packages"][name] = version
        self.commands["python -c"]["out"] = json.dumps(told)

    def told(self, **more: Any) -> None:
        """Change what else the script about the server's interpreter prints."""
        known = json.loads(self.commands["python -c"]["out"])
        self.commands["python -c"]["out"] = json.dumps({**known, **more})

    def python(self, version: str) -> None:
        told = json.loads(self.commands["python -c"]["out"])
        self.commands["python -c"]["out"] = json.dumps({**told, "version": version})

    def out(self, command: str, old: str, new: str) -> None:
        """Change the words of a program."""
        assert old in self.commands[command]["out"]
        self.commands[command]["out"] = self.commands[command]["out"].replace(old, new)

    def change(self, name: str, old: str, new: str) -> None:
        """Change the words of a file."""
        assert old in self.files[name]
        self.files[name] = self.files[name].replace(old, new)


def recorded(name: str, root: Path) -> Recorded:
    """One of tests/data/machines."""
    told = json.loads((DATA / f"{name}.json").read_text())
    files = dict(told["files"])
    if "cpuinfo" in told:
        files["proc/cpuinfo"] = cpuinfo(**told["cpuinfo"])
    return Recorded(root, files, told["commands"], told["space"])


def cpuinfo(name: str, sockets: int, cores: int, threads: int, flags: str) -> str:
    """/proc/cpuinfo of a machine: as long as it is boring."""
    places = [
        (thread, socket, core)
        for thread in range(threads)
        for socket in range(sockets)
        for core in range(cores)
    ]
    return "".join(
        f"processor\t: {number}\nmodel name\t: {name}\nphysical id\t: {socket}\n"
        f"siblings\t: {cores * threads}\ncore id\t\t: {core}\ncpu cores\t: {cores}\n"
        f"flags\t\t: {flags}\n\n"
        for number, (_, socket, core) in enumerate(places)
    )


def weights(folder: Path, gib: float = 150.0, files: int = 3, **config: Any) -> Path:
    """A folder of weights whose files are as long as they say, and take no room."""
    folder.mkdir(parents=True)
    described = {"architectures": ["DeepseekV4ForCausalLM"], "max_position_embeddings": 1048576}
    (folder / "config.json").write_text(json.dumps({**described, **config}))
    table = {}
    for number in range(files):
        name = f"model-{number + 1:05}-of-{files:05}.safetensors"
        size = int(gib * GIB / files)
        tensor = f"model.layers.{number}.experts.weight"
        offsets = {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}
        safetensors(folder / name, {"__metadata__": {"format": "pt"}, tensor: offsets})
        table[tensor] = name
    index = {"metadata": {"total_size": int(gib * GIB)}, "weight_map": table}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def safetensors(path: Path, header: dict[str, Any]) -> None:
    """A sparse file with this header."""
    written = json.dumps(header).encode()
    ends = [one["data_offsets"][1] for name, one in header.items() if name != "__metadata__"]
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(written)) + written)
        file.truncate(8 + len(written) + max(ends, default=0))


def guide(model: Path, *more: str, **changes: Any) -> LaunchPlan:
    """The guide's deployment, as a plan; later flags win."""
    flags = f"""--host 127.0.0.1 --port 40001 --model {model} --kt-weight-path {model}
        --kt-method MXFP4 --kt-num-gpu-experts 10 --kt-cpuinfer 126 --kt-threadpool-count 2
        --kt-gpu-prefill-token-threshold 2048 --tensor-parallel-size 4 --context-length 1048576
        --mem-fraction-static 0.7 --trust-remote-code --disable-radix-cache --enable-metrics"""
    fields: dict[str, Any] = {
        "profile": "deepseek-v4-flash-4x5090",
        "engine": "sglang-kt",
        "version": "0.6.2.post3",
        "python": "/opt/venv/bin/python",
        "model": str(model),
        "served_name": model.name,
        "host": "127.0.0.1",
        "port": 40001,
        "prefix": ("numactl", "--interleave=all"),
        "argv": ("/opt/venv/bin/python", "-m", "sglang.launch_server", *flags.split(), *more),
        "environment": {
            "CUDA_VISIBLE_DEVICES": "0,1,2,3",
            "FLASHINFER_CUDA_ARCH_LIST": "12.0a",
            "TORCH_CUDA_ARCH_LIST": "12.0+PTX",
            "SGLANG_DSV4_MODE": "2604",
            "SGLANG_DSV4_2604_SUBMODE": "2604B",
        },
        "context": 1048576,
        "planned_pool": 964864,
        "warmup_tokens": 4096,
        "gpus": 4,
        "ready_seconds": 1800.0,
    }
    fields["environment"] = {**fields["environment"], **changes.pop("environment", {})}
    return LaunchPlan(**{**fields, **changes})


def listening(box: Recorded, address: str, port: int = 40001, table: str = "proc/net/tcp") -> None:
    """A socket, by the kernel's table; its inode is 4711."""
    box.files[table] += f"   0: {address}:{port:04X} 00000000:0000 0A 0:0 0:0 0 0 0 4711 1 0\n"


def trouble(box: Recorded, plan: LaunchPlan) -> list[Finding]:
    """What the doctor complains about."""
    found = doctor.examine(plan, box.machine())
    return [one for one in found if one.severity is not Severity.OK]
