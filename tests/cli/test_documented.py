"""The page of the command line against the command line itself: usage, options, exit codes."""

import re
from pathlib import Path

import click
import pytest

from bridge.cli import main

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cli.md"


def commands(group, words):
    for name, command in group.commands.items():
        yield f"{words} {name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{words} {name}")


COMMANDS = dict(commands(main, "bridge"))


def sections():
    parts = re.split(r"^## (bridge .+)$", PAGE.read_text(), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


@pytest.mark.parametrize("name", main.commands)
def test_a_command_is_found_by_its_own_name(name):
    assert main.commands[name].name == name


def test_every_command_has_its_section_in_the_order_of_the_help():
    assert list(sections()) == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_section_shows_the_usage(name):
    usage = click.Context(COMMANDS[name], info_name=name).get_usage().removeprefix("Usage: ")
    assert f"\n    {' '.join(usage.split())}\n" in sections()[name]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_section_lists_the_options_and_no_other(name):
    listed = re.findall(r"^\| `(--[a-z-]+)", sections()[name], flags=re.MULTILINE)
    options = [
        parameter.opts[0] for parameter in COMMANDS[name].params if isinstance(parameter, click.Option)
    ]
    assert sorted(listed) == sorted(options)


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_use_options_that_exist(name):
    for line in re.findall(r"^ *\$? *(bridge [a-z].*)$", sections()[name], flags=re.MULTILINE):
        words = line.split()
        command = COMMANDS.get(" ".join(words[:3])) or COMMANDS[" ".join(words[:2])]
        known = {flag for parameter in command.params for flag in parameter.opts}
        if isinstance(command, click.Group) and "list" in command.commands:
            known |= {flag for parameter in command.commands["list"].params for flag in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", re.sub(r'"[^"]*"', "", line))) <= known, line
