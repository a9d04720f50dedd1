"""The data card that lies in every rendered set."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from dgnet.people.writing.plan import RECIPE, RenderPlan

CARD = Path(__file__).with_name("card.md")


def data_card(plan: RenderPlan) -> str:
    """The card of a set."""
    contents = [("`attributes.parquet`", "one row for each picture")]
    if plan.splits == "market1501":
        test = f"persons {plan.train_people + 1} to {plan.people}"
        if plan.train_people:
            contents.append(("`bounding_box_train`", f"persons 1 to {plan.train_people}"))
        contents += [
            ("`query`", f"{test}: the first picture of each camera"),
            ("`bounding_box_test`", f"{test}: the others"),
        ]
    else:
        contents.append(("`bounding_box_train`", "all persons"))
    if plan.truths:
        contents += [
            ("`truths`", f"{plan.truths} triples: NNNN_appearance, NNNN_structure and NNNN_truth, "
             "the true picture of the first one's appearance on the second one's structure"),
            ("`truths.parquet`", "one row for each triple"),
        ]  # fmt: skip
    if plan.writes_changed:
        contents.append(
            ("`truths/NNNN_changed`", "PNG for each triple: 255 where structure and truth show "
             "other surfaces, or the same in another light or shadow, else 0")
        )  # fmt: skip
    if plan.masks:
        contents.append(("`masks`", "PNG for each picture: 255 where the person is seen"))
    settings = plan.to_json()
    return CARD.read_text().format(
        **{**settings, "size": plan.size.replace("x", " x ")},
        places=f"{plan.cameras} cameras"
        + (f" in each of {plan.worlds} worlds" if plan.worlds > 1 else ""),
        command=shlex.join(command_of(plan)),
        contents="\n".join(f"| {name} | {text} |" for name, text in contents),
        settings=json.dumps(settings, indent=2),
    )


def command_of(plan: RenderPlan) -> list[str]:
    """The command that renders a plan."""
    words = ["dgnet", "people", "render", "-o", "DIR", "--people", str(plan.people)]
    words += ["--pictures", str(plan.pictures), "--cameras", str(plan.cameras)]
    if plan.worlds > 1:
        words += ["--worlds", str(plan.worlds)]
    words += ["--size", plan.size, "--seed", str(plan.seed), "--splits", plan.splits]
    if plan.splits == "market1501":
        words += ["--test-people", str(plan.test_people)]
    if plan.truths:
        words += ["--truth", str(plan.truths)]
    if plan.masks:
        words.append("--masks")
    if plan.recipe != RECIPE:
        words += ["--recipe", str(plan.recipe)]
    return [*words, "--changed"] if plan.changed else words
