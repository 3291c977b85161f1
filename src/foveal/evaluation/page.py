"""report.html: one file that opens from disk, asks nothing of the network and runs no script."""

from __future__ import annotations

from pathlib import Path

from ..card import Card
from ..drawing.markup import anchors, esc, name
from ..plan import Plan
from ..record import write_bytes
from ..report import Report
from ..tasks import Task
from .page_parts import making, opening
from .page_parts.folds import folds, repeats
from .page_parts.steady import steady

# Even a name that slipped through unescaped could load nothing and run nothing.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none'"
STYLE = Path(__file__).with_name("page.css")


def write_page(report: Report, card: Card, plan: Plan, task: Task, path: Path) -> None:
    """Write the page atomically to ``path``.

    Raises: OSError when the place cannot be written.
    """
    write_bytes(path, page(report, card, plan, task).encode("utf-8"))


def page(report: Report, card: Card, plan: Plan, task: Task) -> str:
    """The whole page as HTML text. Every name in it is escaped."""
    figures, judged = task.judging.figures, bool(report.test)
    parts = (
        opening.scores(report, figures) if judged else "",
        opening.worth(report, figures) if judged else "",
        folds(report, figures) if judged else "",
        repeats(report, figures) if judged else "",
        opening.data(report, card, figures),
        *(task.telling.sections(report) if judged else ()),
        steady(report) if judged else "",
        making.training(report, figures.get(task.judging.best)),
        making.cost(report),
        making.plan_table(plan),
        making.glossary(task.telling.terms),
    )
    title = f"{card.name or 'Foveal report'}: {opening.headline(report, task)}"
    head = opening.header(report, card, plan, task)
    return shell(title, head, "".join(parts), _footer(card, plan))


def shell(title: str, head: str, body: str, foot: str) -> str:
    """A page of this style: ``head``, ``body`` (sections) and ``foot`` are safe HTML."""
    links = "".join(f'<li><a href="#{anchor}">{title}</a></li>' for anchor, title in anchors(body))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{esc(POLICY)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>{esc(title)}</title>'
        f"<style>{STYLE.read_text(encoding='utf-8')}</style></head>\n<body>"
        f'<a class="skip" href="#main">To the content</a>{head}'
        f'<nav aria-label="Sections of this page"><ul>{links}</ul></nav>'
        f'<main id="main">{body}</main>{foot}</body></html>\n'
    )


def _footer(card: Card, plan: Plan) -> str:
    return (
        f"<footer>Made by Foveal from {name(card.name or card.path)}, data digest "
        f"<code>{esc(card.digest[:16])}</code>, seed {plan.seed}. The same figures stand in "
        "<code>report.json</code> beside this page.</footer>"
    )
