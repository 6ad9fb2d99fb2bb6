"""The picture in doc/performance.md: for each case of accept to durable one bar for each server, as a share of the rate
of the sink."""

SERVERS = (("veredus", "Veredus", "#1f6f8b"), ("postfix", "Postfix", "#d98c3f"), ("exim", "Exim", "#8a6bb1"),
           ("opensmtpd", "OpenSMTPD (not durable)", "#b9b9b9"))
WIDTH, LEFT, RIGHT = 860, 190, 60
TOP, BAR, GAP = 62, 13, 14
STEP = 0.25  # between two lines of the scale


def _text(x, y, words, more=""):
    return f'<text x="{x:.0f}" y="{y:.0f}" {more}>{words}</text>'


def _legend():
    parts, x = [], LEFT
    for _, title, colour in SERVERS:
        parts += [f'<rect x="{x}" y="30" width="12" height="12" fill="{colour}"/>', _text(x + 17, 41, title)]
        x += 34 + 7 * len(title)
    return parts


def _scale(top, height):
    parts, share = [], 0.0
    while share <= top + 1e-9:
        x = LEFT + share / top * (WIDTH - LEFT - RIGHT)
        strong = "#333" if share == 1 else "#ddd"
        parts.append(f'<line x1="{x:.0f}" x2="{x:.0f}" y1="{TOP - 6}" y2="{height - 10}" stroke="{strong}"/>')
        parts.append(_text(x, TOP - 9, f"{share * 100:.0f} %", 'text-anchor="middle" fill="#666"'))
        share += STEP
    return parts


def _group(name, bars, y, top):
    parts = [_text(LEFT - 10, y + len(bars) * BAR / 2 + 4, name, 'text-anchor="end"')]
    for share, rate, colour in bars:
        width = max(1.0, share / top * (WIDTH - LEFT - RIGHT))
        parts.append(f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR - 2}" fill="{colour}"/>')
        parts.append(_text(LEFT + width + 5, y + BAR - 4, f"{rate:,.0f}/s", 'fill="#666" font-size="10"'))
        y += BAR
    return parts


def draw(results):
    groups = []
    for case in results.cases("accept "):
        bars = [(results.median(case, server, "of_sink"), results.median(case, server, "rate"), colour)
                for server, _, colour in SERVERS if results.median(case, server, "of_sink") is not None]
        if bars:
            groups.append((case.removeprefix("accept "), bars))
    top = max((bar[0] for _, bars in groups for bar in bars), default=1)
    top = (int(max(top, 1) / STEP) + 1) * STEP
    height = TOP + sum(len(bars) * BAR + GAP for _, bars in groups) + 16
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
             'font-size="12">', f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
             _text(LEFT, 18, "Accept to durable: rate as a share of smtp-sink's, which throws mail away",
                   'font-size="14" font-weight="bold"'), *_legend(), *_scale(top, height)]
    y = TOP
    for name, bars in groups:
        parts += _group(name, bars, y, top)
        y += len(bars) * BAR + GAP
    return "\n".join([*parts, "</svg>"]) + "\n"
