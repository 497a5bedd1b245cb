"""An answer of the playground as it grows: HTML in the page's colours, and the same in words.

Knows pieces of answers. Knows nothing of requests, widgets and threads.

    answer = Answer("ft:base:o::1")
    answer.take(piece)
    answer.html()
"""

import html
from dataclasses import dataclass, field

from helpers.widgets.questions import Piece, Token

MOST_TOKENS = 60  # in the table: nobody reads more
DOUBT = 0.55  # how strongly a token is coloured that was very unlikely
ENDINGS = {"stop": "ended by itself or at a stop sequence", "length": "cut off: max tokens reached", "stopped": "stopped by you"}

STYLE = """<style>
.ftp-answers { gap: 12px; flex-flow: row wrap; overflow: visible }
.ftp-answers > .widget-html { flex: 1 1 340px; min-width: 0; margin: 0 }
.ftp-answer { border: 1px solid var(--jp-border-color2, #e0e0e0); border-radius: 6px; padding: 10px 14px; line-height: 1.5;
  background: var(--jp-layout-color1, #fff); color: var(--jp-ui-font-color1, #212121); font-size: 13px; margin-bottom: 8px }
.ftp-model { font-weight: 600; overflow-wrap: anywhere }
.ftp-text { white-space: pre-wrap; overflow-wrap: anywhere; min-height: 3em; margin: 8px 0; font-size: 14px }
.ftp-text i { display: inline-block; width: .5em; height: 1em; vertical-align: text-bottom;
  background: var(--jp-brand-color1, #1976d2) }
.ftp-small, .ftp-answer summary { color: var(--jp-ui-font-color2, #616161); font-size: 12px }
.ftp-answer summary { cursor: pointer }
.ftp-answer table { border-collapse: collapse; margin-top: 6px; font-size: 12px }
.ftp-answer td, .ftp-answer th { padding: 1px 10px 1px 0; text-align: left; background: none;
  font-variant-numeric: tabular-nums }
.ftp-answer code { white-space: pre; background: var(--jp-layout-color2, #eee); padding: 0 3px; border-radius: 3px;
  color: inherit }
.ftp-answer td:nth-child(2), .ftp-answer td span { white-space: nowrap }
.ftp-answer td:last-child span { display: inline-block; margin-right: 10px }
.ftp-scroll { max-height: 220px; overflow: auto }
.ftp-share { display: inline-block; height: 8px; background: var(--jp-brand-color1, #1976d2); border-radius: 2px;
  margin-right: 6px }
.ftp-error { color: var(--jp-error-color1, #d32f2f) }
.ftp-code pre { line-height: 1.4; padding: 8px 12px; margin: 4px 0; overflow-x: auto; border-radius: 4px; font-size: 12px;
  background: var(--jp-layout-color2, #f5f5f5); color: var(--jp-ui-font-color1, #212121) }
</style>"""


@dataclass
class Answer:
    """What one model has said so far. `error` is a sentence."""

    model: str
    text: str = ""
    tokens: list[Token] = field(default_factory=list)
    finish: str | None = None
    error: str = ""

    @property
    def done(self) -> bool:
        return bool(self.finish or self.error)

    def take(self, piece: Piece) -> None:
        self.text += piece.text
        self.tokens += piece.tokens
        self.finish = piece.finish or self.finish

    def html(self) -> str:
        """Name, text and, where probabilities are known, each token's: by colour, in its tooltip, and in a table."""
        caret = "" if self.done else "<i></i>"
        ending = f'<span class="ftp-error">{html.escape(self.error)}</span>' if self.error else ENDINGS.get(self.finish or "", "")
        count = f"{len(self.tokens)} token{'s' * (len(self.tokens) > 1)}" if self.tokens and self.done else ""
        told = ", ".join(filter(None, [count, ending]))
        return (f'<div class="ftp-answer"><div class="ftp-model">{html.escape(self.model)}</div>'
                f'<div class="ftp-text" aria-live="polite">{self._marked_up()}{caret}</div>'
                f'<div class="ftp-small">{told or "&nbsp;"}</div>{self._table() if self.done else ""}</div>')

    def plain(self) -> str:
        """The answer in words, for a notebook without widgets."""
        return f"{self.model}: {self.error or self.text}"

    def _marked_up(self) -> str:
        # Whole tokens only: the text that is shown is the text that came, whatever the tokens' names are.
        if "".join(token.text for token in self.tokens) != self.text:
            return html.escape(self.text)
        return "".join(f'<span style="background: rgba(245, 124, 0, {DOUBT * (1 - token.probability):.2f})" '
                       f'title="{html.escape(_sentence(token))}">{html.escape(token.text)}</span>' for token in self.tokens)

    def _table(self) -> str:
        if not self.tokens:
            return ""
        rows = "".join(_row(token) for token in self.tokens[:MOST_TOKENS])
        more = len(self.tokens) - MOST_TOKENS
        rest = f'<div class="ftp-small">and {more} more tokens</div>' if more > 0 else ""
        return ('<details open><summary>Probability of each token, and the likeliest in its place</summary>'
                f'<div class="ftp-scroll" tabindex="0"><table><tbody>{rows}</tbody></table>{rest}</div></details>')


def visible(text: str) -> str:
    """A token with its spaces and line breaks to be seen."""
    return text.replace(" ", "·").replace("\n", "↵").replace("\t", "→") or "(nothing)"


def percent(share: float) -> str:
    return "< 1 %" if share < 0.01 else f"{100 * share:.0f} %"


def _sentence(token: Token) -> str:
    others = ", ".join(f"{visible(text)} {percent(share)}" for text, share in token.top)
    return f"{percent(token.probability)}" + (f" (likeliest: {others})" if others else "")


def _row(token: Token) -> str:
    others = " ".join(f"<span><code>{html.escape(visible(text))}</code> {html.escape(percent(share))}</span>"
                      for text, share in token.top if text != token.text)
    return (f"<tr><td><code>{html.escape(visible(token.text))}</code></td>"
            f'<td><span class="ftp-share" style="width: {max(1, round(48 * token.probability))}px"></span>'
            f"{html.escape(percent(token.probability))}</td><td class=\"ftp-small\">{others}</td></tr>")
