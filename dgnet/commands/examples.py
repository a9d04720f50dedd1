"""Examples for the end of every `--help`: what people do with a command, to be copied.

A test parses each by the command line itself, and asks for those of every command.
"""

from __future__ import annotations

from typing import Final

EXAMPLES: Final[dict[str, tuple[str, ...]]] = {
    "serve": ("dgnet serve", "dgnet serve --redis-url redis://redis:6379/0 --host 0.0.0.0"),
    "worker": ("dgnet worker --redis-url redis://redis:6379/0 --devices all",),
    "swap": (
        "dgnet swap --appearance a.jpg --structure b.jpg -o out.png",
        "dgnet swap --appearance PEOPLE --structure PEOPLE -o composites/",
        "dgnet swap --appearance a.jpg --structure b.jpg -o out.png --server URL",
    ),
    "embed": ("dgnet embed PEOPLE -o emb.npz", "dgnet embed a.jpg b.jpg -o emb.npz --server URL"),
    "generate": (
        "dgnet generate DATA --count 10000 -o out",
        "dgnet generate spec.yaml -o out --resume",
        "dgnet generate DATA --count 10000 -o out --server URL",
    ),
    "filter": (
        "dgnet filter out --minimum-identity-consistency 0.5 --dry-run",
        "dgnet filter out --minimum-identity-consistency 0.5 -o better",
    ),
    "push": ("dgnet push out s3://bucket/sets/one", "dgnet push out hf://datasets/OWNER/NAME"),
    "pull": ("dgnet pull s3://bucket/sets/one set",),
    "jobs list": ("dgnet jobs list --server URL --limit 20",),
    "jobs show": ("dgnet jobs show gen_ID --server URL --json",),
    "jobs cancel": ("dgnet jobs cancel gen_ID --server URL",),
    "jobs resume": ("dgnet jobs resume gen_ID --server URL",),
    "jobs delete": ("dgnet jobs delete gen_ID gen_OTHER --server URL",),
    "jobs fetch": ("dgnet jobs fetch gen_ID -o set --server URL",),
    "datasets list": ("dgnet datasets list --server URL",),
    "datasets show": ("dgnet datasets show ds_ID --server URL",),
    "datasets upload": ("dgnet datasets upload market.zip --name market --server URL",),
    "datasets register": ("dgnet datasets register sets/market1501 --server URL",),
    "datasets check": ("dgnet datasets check ds_ID --server URL",),
    "datasets delete": ("dgnet datasets delete ds_ID --server URL",),
    "data check": ("dgnet data check DATA", "dgnet data check DATA --json report.json"),
    "people render": ("dgnet people render -o people --people 40 --pictures 6",),
    "people sheet": ("dgnet people sheet -o sheet.png",),
    "train teacher": ("dgnet train teacher DATA -o runs/teacher",),
    "train joint": ("dgnet train joint DATA --teacher runs/teacher/checkpoint -o runs/joint",),
    "train judge": ("dgnet train judge DATA -o runs/judge",),
    "train adapt": ("dgnet train adapt DATA -o runs/adapted",),
    "evaluate composites": ("dgnet evaluate composites --people DATA --judge shipped",),
    "evaluate judge": ("dgnet evaluate judge shipped DATA",),
    "evaluate retrieval": ("dgnet evaluate retrieval DATA --json figures.json",),
    "evaluate generation": ("dgnet evaluate generation DATA --generated out",),
    "checkpoint import": (
        "dgnet checkpoint import --generator GEN.pt --appearance ID.pt -o checkpoint",
    ),
    "checkpoint info": ("dgnet checkpoint info runs/joint/checkpoint",),
    "checkpoint pack": ("dgnet checkpoint pack runs/joint/checkpoint -o small --half",),
    "demo": ("dgnet demo --output demo-output",),
}


def epilog(command: str) -> str | None:
    """The end of a command's help; a paragraph each, or lines would be joined."""
    examples = EXAMPLES.get(command)
    return None if examples is None else "\n\n".join(("Examples:", *examples))
