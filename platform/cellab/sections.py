"""Checks the sections of a trial's configuration that are not components."""

from cellab.plain import PlainMapping, mapping
from cellab.settings import LINEAGE, SECTIONS, Lineage, Section
from cellab.signatures import fit_arguments, keyed
from cellab.values import Mistake


def check_sections(config: PlainMapping) -> tuple[dict[str, Section], list[Mistake]]:
    """Types and ranges of every section of a resolved trial configuration.

    Returns:
        The sections without mistakes by name, their values converted; and the mistakes of the others.
    """
    sections: dict[str, Section] = {}
    mistakes: list[Mistake] = []
    for name, section in SECTIONS.items():
        own = {key: config[key] for key in Lineage.__dataclass_fields__} if name == LINEAGE else mapping(config[name])
        values, wrong = fit_arguments(section, own, name)
        if not wrong:
            try:
                sections[name] = section(**values)
            except ValueError as error:
                wrong = [keyed(str(error), name, values)]
        mistakes += wrong
    return sections, mistakes
