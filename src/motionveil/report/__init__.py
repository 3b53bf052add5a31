"""Stored results as tables, figures and one self-contained HTML page; needs no torch."""

from motionveil.report.page import write_joint_report, write_report

__all__ = ["write_joint_report", "write_report"]
