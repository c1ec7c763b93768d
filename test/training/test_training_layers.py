"""Which part of model_training stands on which, read from the imports themselves."""

from __future__ import annotations

import ast
from pathlib import Path

SHARED = {"yaml_config", "curves", "run_log", "schedule", "color_jitter", "checkpoints", "processes"}
LAYERS: dict[str, set[str]] = {
    "data": set(),
    "models": set(),
    "nano": {"models"},
    "scenes": {"data"},
    "lifting": {"data", "scenes"},
    "questions": {"data"},
    "robots": {"data"},
    "examples": {"data", "scenes", "questions"},
    "evaluation": {"data", "scenes", "questions", "lifting"},
    "training": {"data", "scenes", "questions", "examples", "evaluation"},
    "depth": {"scenes"},
}
"""What each part may import besides itself, n3d_ros and what all share; ``cli`` may import everything."""


def test_each_part_stands_on_those_below_it(repository: Path) -> None:
    violations = []
    root = repository / "model_training"
    for file in sorted(root.glob("*/*.py")) + sorted(root.glob("*/*/*.py")):
        part = file.relative_to(root).parts[0]
        if part == "cli":
            continue
        assert part in LAYERS, f"{file.name}: a new part {part!r} needs its row in LAYERS"
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("model_training."):
                continue
            target = str(node.module).split(".")[1]
            allowed = {part} | LAYERS[part] | SHARED
            if target not in allowed:
                violations.append(f"{file.relative_to(repository)}:{node.lineno} {part} imports {node.module}")
    assert not violations, "\n".join(violations)
