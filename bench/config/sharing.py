"""Fields that share one method over their joined ids: which they are, and what of them is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.config.schema import Settings
from bench.config.typed import nearest, plain, shown
from bench.errors import RequestError


def check(settings: Settings) -> None:
    """Refuses groups that cannot be, as far as that is known without the data.

    Raises:
        RequestError: a field does not exist or is given twice, or the fields of a group have different methods.
    """
    share, names = settings.share, settings.dataset.field_names
    if isinstance(share, list):
        listed = [name for group in share for name in group]
        for name in listed:
            if name not in names:
                raise RequestError(
                    f"share={shown(share)}: {name} is no field of dataset={settings.dataset.name}"
                    f"{nearest(name, names)} (there are: {', '.join(names)})"
                )
            if listed.count(name) > 1:
                raise RequestError(f"share={shown(share)}: {name} is given twice; a field has one table")
    if share is not None and not isinstance(share, Mapping) and not settings.full_below:
        groups_of(settings, dict.fromkeys(names, 1))


def groups_of(settings: Settings, sizes: Mapping[str, int]) -> list[list[str]]:
    """Divides the fields into groups that share a method. A field that shares none is a group of its own.

    Fields below ``full_below`` are in no group with others.

    Args:
        settings: of the run.
        sizes: number of ids of each field, in order.

    Returns:
        The groups in the order of their first fields, which is also the order within a group.

    Raises:
        RequestError: the fields of a group have different methods or settings.
    """
    share = settings.share
    able = [name for name, size in sizes.items() if size >= settings.full_below]
    wanted: list[list[str]] = []
    if share == "all":
        wanted = [able]
    elif isinstance(share, Mapping):
        wanted = [[name for name in able if sizes[name] > share["above"]]]
    elif isinstance(share, list):
        wanted = [[name for name in able if name in group] for group in share]
    of_field = {name: group for group in wanted for name in group}
    groups = [group for name in sizes if (group := of_field.get(name, [name]))[0] == name]
    for group in groups:
        _check_methods(settings, group)
    return groups


def shared(groups: Sequence[Sequence[str]]) -> list[list[str]]:
    """Gives the groups of several fields, as ``share`` takes them."""
    return [list(group) for group in groups if len(group) > 1]


def _check_methods(settings: Settings, group: Sequence[str]) -> None:
    first, *others = group
    own = settings.method(first)
    for name in others:
        found = settings.method(name)
        if found != own:
            raise RequestError(
                f"share={shown(settings.share)}: {first} has {own.name} {shown(plain(own.settings))} and {name} has "
                f"{found.name} {shown(plain(found.settings))}; fields that share a table have one method with equal "
                "settings"
            )
