"""Parse the machine's own HTML pages."""

from html.parser import HTMLParser

# nginx replaces it by the visitor's language.
LANGUAGE = '<!--# echo var="visitor_language" -->'
VOID = {"meta", "link", "br"}


class Page(HTMLParser):
    """Collect `texts` and `headlines` by their language, the `charset` and the `unclosed` tags."""

    def __init__(self, html: bytes, language: str) -> None:
        super().__init__()
        self.texts: dict[str, str] = {}
        self.headlines: dict[str, str] = {}
        self.charset = self.title = ""
        self.unclosed: list[tuple[str, str]] = []
        self.feed(html.decode().replace(LANGUAGE, language))
        self.close()

    @property
    def language(self) -> str:
        """The language of the element being parsed."""
        return next((language for _, language in reversed(self.unclosed) if language), "")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.charset = known.get("charset") or self.charset
        if tag not in VOID:
            self.unclosed.append((tag, known.get("lang") or ""))

    def handle_endtag(self, tag: str) -> None:
        assert self.unclosed.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        tags = [tag for tag, _ in self.unclosed]
        text = " ".join(data.split())
        if "title" in tags:
            self.title += text
        elif "section" in tags and text:
            told = self.headlines if "h1" in tags else self.texts
            told[self.language] = f"{told.get(self.language, '')} {text}".strip()
