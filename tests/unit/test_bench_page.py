"""docs/performance.md: what is measured anew replaces its own section, and nothing else."""

from __future__ import annotations

from scripts.benching.page import with_section

PAGE = "# Performance\n\nold\n\n## By hand\n\nkept\n\n## Delivery\n\nold\n"


def test_a_section_replaces_the_one_of_its_heading() -> None:
    page = with_section(PAGE, "\n## Delivery\n\nnew\n")
    assert page == PAGE.replace("Delivery\n\nold", "Delivery\n\nnew")


def test_the_first_section_has_the_pages_heading() -> None:
    page = with_section(PAGE, "# Performance\n\nnew\n")
    assert page == PAGE.replace("Performance\n\nold", "Performance\n\nnew")


def test_a_new_section_comes_last() -> None:
    assert with_section(PAGE, "\n## More\n\nnew\n") == PAGE + "\n## More\n\nnew\n"
