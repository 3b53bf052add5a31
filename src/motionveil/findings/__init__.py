"""What an audit leaves behind: every attack with its answers and what follows from them.

An `Audit` is JSON on disk, `audit.json`. Needs numpy and pydantic only, so that a report needs no
torch.
"""

from motionveil.findings.attacks import (
    AttackFinding,
    ClipAnswer,
    FaceFinding,
    FaceNaming,
    Finding,
    Guessed,
    Judgement,
    Likeness,
    Measured,
    ReconstructionFinding,
    RetrievalFinding,
    Search,
    read_finding,
    write_finding,
)
from motionveil.findings.audit import FILE_NAME, Audit, Confound, Strongest

__all__ = [
    "FILE_NAME",
    "AttackFinding",
    "Audit",
    "ClipAnswer",
    "Confound",
    "FaceFinding",
    "FaceNaming",
    "Finding",
    "Guessed",
    "Judgement",
    "Likeness",
    "Measured",
    "ReconstructionFinding",
    "RetrievalFinding",
    "Search",
    "Strongest",
    "read_finding",
    "write_finding",
]
