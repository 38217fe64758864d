"""`keepstream completion`: the script that completes commands and options in a shell."""

from typing import Annotated, Literal

import typer


def command(
    shell: Annotated[Literal["bash", "zsh", "fish"], typer.Argument(help="For which shell.")],
) -> None:
    """Print the script that completes commands, options and their values in a shell.

    For this shell only:

      source <(keepstream completion bash)

      keepstream completion fish | source

    For good, in a directory where the shell looks (for zsh one of $fpath, before compinit runs):

      keepstream completion bash > ~/.local/share/bash-completion/completions/keepstream

      keepstream completion zsh > ~/.zfunc/_keepstream

      keepstream completion fish > ~/.config/fish/completions/keepstream.fish
    """
    from typer.completion import get_completion_script  # type: ignore[attr-defined]  # not declared

    from streams.cli import COMPLETE

    print(get_completion_script(prog_name="keepstream", complete_var=COMPLETE, shell=shell))
