"""`dgnet train`: the teacher on real pictures, then DG-Net with the teacher's labels; both at once,
from the weights that ship (`adapt`); and judges.

Options name what most runs change; `--set` reaches every other field of the network and of the
schedule. A run folder holds everything of a run; the same command with `--resume` carries on.
"""

from __future__ import annotations

import typer

from dgnet.commands.train_adapt import train_adapt_command
from dgnet.commands.train_joint import train_joint_command
from dgnet.commands.train_judge import train_judge_command
from dgnet.commands.train_teacher import train_teacher_command

app = typer.Typer(no_args_is_help=True, help="Train on your own pictures.")

app.command("judge")(train_judge_command)
app.command("teacher")(train_teacher_command)
app.command("joint")(train_joint_command)
app.command("adapt")(train_adapt_command)
