import pytest
from report_examples import dataset

from motionveil.published.figures import load_publication
from motionveil.report.printed import printed_for, rows_of


def data(name: str, label: str):
    return dataset(name=name).model_copy(update={"privacy_label": label})


@pytest.mark.parametrize(("name", "label"), [("sbu", "pair"), ("kth", "person"), ("ipn", "gender")])
def test_the_paper_s_data_sets_have_published_figures(name, label):
    printed = printed_for(data(name, label))
    (paper,) = [p for p in printed if p.publication.name == "paper"]
    (there,) = [d for d in load_publication("paper").datasets if d.name == name]
    assert paper.rows == there.rows
    assert set(rows_of(printed)) >= set(there.rows)
    assert {f.source for r in paper.rows for f in (r.action, r.privacy)} == set(paper.sources())


@pytest.mark.parametrize(("name", "label"), [("actors", "identity"), ("sbu", "clothes")])
def test_other_data_and_other_labels_have_none(name, label):
    assert printed_for(data(name, label)) == []
