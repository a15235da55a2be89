"""Controls that show a value kept elsewhere in the file (`w:dataBinding`), whatever they hold themselves."""

from __future__ import annotations

import re
from typing import Any, Final

from nexus_graph.atoms.recipes.word.names import W
from nexus_graph.atoms.recipes.word.parts import Parts
from nexus_graph.scope.errors import Invalid

_ITEM_ID: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/customXml}itemID"
_PREFIX = re.compile(r"""xmlns:([\w.-]+)\s*=\s*["']([^"']*)["']""")
_STEP = re.compile(r"/(?:([\w.-]+):)?([\w.-]+)(?:\[(\d{1,6})\])?")
_PATH = re.compile(rf"(?:{_STEP.pattern})+")

# What Word calls the properties of the document, which have no id of their own.
_PROPERTIES: Final = {
    "{6C3C8BC8-F283-45AE-878A-BAB7291924A1}": "core-properties",
    "{6668398D-A668-4E3E-A5EB-62B293D839F1}": "extended-properties",
}


class Bindings:
    """The values that controls are bound to."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._stores: dict[str, Any] | None = None

    def fill(self, root: Any) -> None:
        """Put its value into each bound control below `root` that shows text or a choice; placeholders give way."""
        for control in root.iter(f"{W}sdt"):
            properties, content = control.find(f"{W}sdtPr"), control.find(f"{W}sdtContent")
            binding = None if properties is None else properties.find(f"{W}dataBinding")
            if binding is None or content is None:
                continue
            shown = _shown(properties, self._value(binding))
            words = [*content.iter(f"{W}t")]
            if shown and words:
                words[0].text = shown
                for other in words[1:]:
                    other.text = ""
                for placeholder in properties.findall(f"{W}showingPlcHdr"):
                    properties.remove(placeholder)

    def _value(self, binding: Any) -> str:
        """The text that a binding leads to; "" where it leads nowhere, or by a path of another form."""
        path = binding.get(f"{W}xpath", "")
        store = self._all().get(binding.get(f"{W}storeItemID", "").upper())
        if store is None or _PATH.fullmatch(path) is None:
            return ""
        names = dict(_PREFIX.findall(binding.get(f"{W}prefixMappings", "")))
        within, found = [store], None
        for prefix, name, place in _STEP.findall(path):
            wanted = f"{{{names.get(prefix, '')}}}{name}" if prefix else name
            found = next(iter([item for item in within if item.tag == wanted][int(place or 1) - 1 :]), None)
            within = [] if found is None else found
        return (found.text or "") if found is not None and len(found) == 0 else ""

    def _all(self) -> dict[str, Any]:
        if self._stores is None:
            self._stores = {}
            for relation in self._parts.relations(self._parts.main).values():
                if relation.type == "customXml" and not relation.outside:
                    listing = self._parts.relations(relation.target).values()
                    for found in (item for item in listing if item.type == "customXmlProps"):
                        properties = self._tree(found.target)
                        if properties is not None:
                            self._stores[properties.get(_ITEM_ID, "").upper()] = self._tree(relation.target)
            package = {relation.type: relation.target for relation in self._parts.relations("").values()}
            for store_id, kind in _PROPERTIES.items():
                if kind in package:
                    self._stores[store_id] = self._tree(package[kind])
        return self._stores

    def _tree(self, name: str) -> Any:
        """A part, or None for one that is missing or broken: then the text in the control stands."""
        try:
            return self._parts.tree(name)
        except (KeyError, Invalid):
            return None


def _shown(properties: Any, bound: str) -> str:
    """What a control shows for a bound value; "" where what it holds stands."""
    if properties.find(f"{W}text") is not None:
        return bound
    choices = [item for name in ("dropDownList", "comboBox") for item in properties.iterfind(f"{W}{name}/{W}listItem")]
    return next((item.get(f"{W}displayText") or bound for item in choices if item.get(f"{W}value") == bound), "")
