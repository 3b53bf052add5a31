"""Stored results as tables, figures and self-contained HTML pages; needs no torch."""

from motionveil.report.audit_page import write_audit
from motionveil.report.audits_page import write_audits
from motionveil.report.page import write_joint_report, write_report, write_tradeoff

__all__ = ["write_audit", "write_audits", "write_joint_report", "write_report", "write_tradeoff"]
