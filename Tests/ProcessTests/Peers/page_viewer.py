"""Looks at a core's page in a headless Chromium, with keys and clicks as a user has them.

    page_viewer.py look|steer|many URL [COUNT|TOKEN]

`look` wants a core that alice registered at and sent a PUBLISH to that nobody took; `steer` one at which alice is registered for
an hour, whose clock is virtual and which asks for TOKEN; `many` one that recorded COUNT messages.
With SIPCORE_SCREENSHOTS=FOLDER pictures of what it sees are kept there. Exits with 0 if the page was as it should be.
"""

import os
import sys

from chromium import Page

pictures = os.environ.get("SIPCORE_SCREENSHOTS")


def picture(page, name):
    if pictures:
        page.screenshot(f"{pictures}/{name}.png")


def look(url, dark):
    scheme = "dark" if dark else "light"
    page = Page(url, dark=dark)
    try:
        page.until("document.querySelectorAll('.row').length >= 4 && document.getElementById('live').textContent === 'live'")
        page.until("[...document.querySelectorAll('.lane')].map((lane) => lane.textContent).join() === 'alice,core,im'")
        picture(page, f"{scheme}-messages")

        # The search, by keys alone.
        page.value("document.getElementById('rows').focus()")
        page.key("/")
        page.until("document.activeElement.id === 'search'")
        page.type("method:PUBLISH")
        page.until("document.getElementById('shown').textContent.startsWith('2 of')")
        page.until("document.querySelectorAll('.row').length === 2")
        page.key("Enter")
        page.key("ArrowDown")
        page.key("Enter")
        page.until("document.querySelector('#detail .why')?.textContent.includes('no criterion of sip:alice@home1.test')")
        assert page.value("document.querySelector('.row.chosen').getAttribute('aria-selected')") == "true"
        assert page.value("document.getElementById('rows').getAttribute('aria-activedescendant') === document.querySelector('.row.chosen').id")
        assert page.value("document.querySelector('#detail .criterion.not_matched') !== null")
        assert "Accept-Contact" in page.value("document.querySelector('#detail .headers').textContent")
        picture(page, f"{scheme}-why")
        page.key("ArrowDown")
        page.until("document.querySelector('#detail h2')?.textContent === '404 Not Found'")
        page.key("Escape")
        page.until("document.getElementById('detail').hidden")
        page.key("Escape")
        page.until("document.getElementById('search').value === ''")

        # What the core sent on of a request that went to a server.
        page.until("[...document.querySelectorAll('.row')].some((row) => row.ariaLabel.includes('MESSAGE from alice'))")
        page.value("[...document.querySelectorAll('.row')].find((row) => row.ariaLabel.includes('MESSAGE from alice')).click()")
        page.until("document.querySelector('#detail .difference')?.textContent.includes('P-Asserted-Identity')")
        page.key("Escape")

        # A word that stands in a body only.
        page.key("/")
        page.type("behind the eighty octets")
        page.until("[...document.querySelectorAll('.row')].length > 0 && document.getElementById('shown').textContent.includes(' of ')")
        page.until("[...document.querySelectorAll('.row')].every((row) => row.ariaLabel.includes('MESSAGE'))")
        page.key("Escape")
        page.key("Escape")

        page.key("2")
        page.until("document.querySelector('#registrations .countdown span')?.textContent.match(/[0-9]+[hms]/)")
        picture(page, f"{scheme}-registrations")
        page.key("3")
        page.until("document.querySelector('#subscribers').textContent.includes('alice@home1.test')")
        change_subscribers(page, scheme)
        if page.value("!document.getElementById('tab-faults').hidden"):
            change_faults(page, scheme)
        page.value("document.getElementById('tab-messages').click()")

        # What comes is there without being asked for.
        before = page.value("Number(document.getElementById('count-messages').textContent)")
        send(page, scheme)
        page.until(f"Number(document.getElementById('count-messages').textContent) >= {before} + 2")

        if dark:
            page.value("document.getElementById('reset').click()")
            page.until("document.querySelector('dialog[open] button.danger') !== null")
            page.value("document.querySelector('dialog[open] button.danger').click()")
            page.until("document.querySelectorAll('.row').length === 0")
        assert page.faults == [], page.faults
    finally:
        page.close()
    print(f"looked in {scheme}")


def change_subscribers(page, scheme):
    page.value("document.querySelector('#subscribers [data-key=add]').click()")
    page.until("document.activeElement.name === 'name'")
    page.type("carol")
    page.value("document.querySelector('dialog button.primary').click()")
    page.until("document.querySelector('dialog .fault').textContent.startsWith('password')")
    picture(page, f"{scheme}-subscriber")
    page.value("document.querySelector('dialog textarea').value = '{\"password\": \"x\"}'; document.querySelector('dialog button.primary').click()")
    page.until("document.querySelector('#subscribers').textContent.includes('carol@home1.test')")
    page.value("document.querySelector('[data-key=\"remove carol\"]').click()")
    page.value("document.querySelector('dialog[open] button.danger').click()")
    page.until("!document.querySelector('#subscribers').textContent.includes('carol')")


def change_faults(page, scheme):
    page.value("document.getElementById('tab-faults').click()")
    page.until("document.querySelector('#faults [data-key=\"Lose a 200 to MESSAGE\"]')")
    page.value("document.querySelector('#faults [data-key=\"Lose a 200 to MESSAGE\"]').click()")
    page.value("document.querySelector('dialog[open] button.primary').click()")
    page.until("document.querySelectorAll('#faults tbody tr').length === 1")
    picture(page, f"{scheme}-faults")
    page.value("document.querySelector('#faults input[role=switch]').click()")
    page.until("document.querySelector('#faults tr.off')")
    page.value("document.querySelector('#faults input[role=switch]').click()")
    page.until("document.querySelector('#faults tbody tr:not(.off)')")
    page.value("document.querySelector('#faults [data-key=all]').click()")
    page.until("document.querySelectorAll('#faults tbody tr').length === 0")


def send(page, scheme):
    page.value("document.getElementById('send').click()")
    page.until("document.activeElement.name === 'name' || document.activeElement.name === 'way'")
    page.value("document.querySelector('dialog [name=name]').value = 'alice'; document.querySelector('dialog button.primary').click()")
    page.until("document.querySelector('dialog pre').textContent.startsWith('SIP/2.0 ')")
    picture(page, f"{scheme}-send")
    page.key("Escape")


def steer(url, token, dark):
    scheme = "dark" if dark else "light"
    page = Page(url, dark=dark)
    try:
        # Nothing is shown without the token, and a wrong one is told.
        page.until("document.activeElement?.name === 'token' && document.querySelector('dialog[open]')")
        assert page.value("document.querySelectorAll('.row').length") == 0
        picture(page, f"{scheme}-token")
        page.type("wrong")
        page.key("Enter")
        page.until("document.querySelector('dialog[open]')?.textContent.includes('The last one was wrong')")
        page.type(token)
        page.key("Enter")
        page.until("document.getElementById('live').textContent === 'live' && document.querySelectorAll('.row').length >= 4")
        assert page.value("getComputedStyle(document.body).colorScheme") == "light dark"

        page.until("[...document.querySelectorAll('.lane')].map((lane) => lane.textContent).join() === 'alice,core,im'")

        # The clock, by its buttons and by its field.
        page.until("!document.getElementById('clock-moves').hidden")
        began = clock(page)
        page.key("2")
        page.until("document.querySelector('#registrations .countdown span')?.textContent.match(/m/)")
        left = page.value("document.querySelector('#registrations .countdown span').textContent")
        for by, seconds in [("1s", 1), ("1m", 61)]:
            page.value(f"document.querySelector('#clock-moves [data-by=\"{by}\"]').click()")
            page.until(f"Date.parse(document.getElementById('clock-now').textContent + 'Z') === {began} + {seconds} * 1000")
        page.until(f"document.querySelector('#registrations .countdown span').textContent !== '{left}'")
        page.value("document.getElementById('clock-by').focus()")
        page.type("soon")
        page.key("Enter")
        page.until("document.getElementById('notices').textContent.includes('soon')")
        page.value("document.getElementById('clock-by').value = ''")
        page.type("1d")
        page.key("Enter")
        page.until(f"Date.parse(document.getElementById('clock-now').textContent + 'Z') === {began} + (61 + 86400) * 1000")
        picture(page, f"{scheme}-clock")
        page.value("document.activeElement.blur()")

        # All views by keys, and what stands in them can be read.
        page.until("document.querySelector('.notice') === null")
        views = page.value("[...document.querySelectorAll('[role=tab]:not([hidden])')].map((tab) => tab.id.slice(4))")
        assert views == ["messages", "registrations", "subscribers", "faults", "findings"], views
        for number, view in enumerate(views):
            page.key(str(number + 1))
            page.until(f"!document.getElementById('{view}').hidden && document.getElementById('tab-{view}').ariaSelected === 'true'")
            page.until(f"'{view}' === 'messages' || document.getElementById('{view}').textContent.length > 0")
            picture(page, f"{scheme}-view-{view}")
            faint = page.faint()
            assert faint == [], f"{view}: {faint}"
        page.value("document.getElementById('tab-findings').focus()")
        page.key("ArrowRight")
        page.until("document.activeElement.id === 'tab-messages' && !document.getElementById('messages').hidden")
        page.key("?")
        page.until("document.querySelector('dialog[open]')?.textContent.includes('Keys')")
        assert page.faint() == []
        page.key("Escape")
        page.until("!document.querySelector('dialog[open]')")
        page.key("f")
        page.until("!document.getElementById('follow').checked")
        page.key("f")
        page.until("document.getElementById('follow').checked")
        page.value("document.getElementById('rows').focus()")
        page.key("Home")
        page.key("Enter")
        page.until("!document.getElementById('detail').hidden && document.querySelector('.row.chosen').ariaPosInSet === '1'")
        page.until("document.querySelector('#detail .why')")
        picture(page, f"{scheme}-message")
        assert page.faint() == [], page.faint()

        # On a small screen the message takes all of it, and nothing sticks out.
        page.resize(480, 800)
        page.until("document.getElementById('detail').getBoundingClientRect().width === innerWidth")
        picture(page, f"{scheme}-small-message")
        page.key("Escape")
        page.until("document.getElementById('detail').hidden")
        for number, view in enumerate(views):
            page.key(str(number + 1))
            page.until(f"!document.getElementById('{view}').hidden")
            assert page.value("document.documentElement.scrollWidth <= innerWidth"), f"{view} is too wide"
            picture(page, f"{scheme}-small-{view}")
        assert page.faults == [], page.faults
    finally:
        page.close()
    print(f"steered in {scheme}")


def clock(page):
    return page.value("Date.parse(document.getElementById('clock-now').textContent + 'Z')")


def many(url, count):
    """Few rows are in the document however many there are, and those are the right ones."""
    page = Page(url)
    try:
        number = "Number(document.getElementById('count-messages').textContent.replaceAll(',', ''))"
        page.until(f"{number} >= {count}", 120)
        rows = "document.querySelectorAll('.row').length"
        most = page.value("Math.ceil(document.getElementById('rows').clientHeight / 30) + 20")
        total = page.value(number)
        for place in [0, total // 3, total // 2, total - 100]:
            # While the last messages still come in, the page that follows them may take the first scroll back: it is done again.
            scroll = f"document.getElementById('rows').scrollTop = {place} * 30"
            page.until(f"({scroll}, [...document.querySelectorAll('.row')].some((row) => row.ariaPosInSet === '{place + 1}'))")
            assert page.value(rows) <= most, page.value(rows)
        # The longest time between two frames while it scrolls is told, not judged: others use this machine too.
        longest = page.value("""new Promise((done) => {
            const view = document.getElementById('rows'); view.scrollTop = 0;
            let [count, last, longest] = [0, performance.now(), 0];
            requestAnimationFrame(function step(now) {
                longest = Math.max(longest, now - last); last = now; view.scrollTop += 3000; count += 1;
                if (count < 120) requestAnimationFrame(step); else done(Math.round(longest));
            });
        })""")
        assert page.value(rows) <= most
        page.key("/")
        page.type("status:2xx")
        page.until("document.getElementById('shown').textContent.includes(' of ')")
        page.until(f"{rows} > 0 && {rows} <= {most}")
        page.key("Enter")
        page.key("End")
        page.until("document.querySelector('.row.chosen')")
        assert page.faults == [], page.faults
        print(f"{total} messages, at most {most} rows, {longest} ms between two frames at most")
        picture(page, "many")
    finally:
        page.close()


if sys.argv[1] == "look":
    look(sys.argv[2], dark=False)
    look(sys.argv[2], dark=True)
elif sys.argv[1] == "steer":
    steer(sys.argv[2], sys.argv[3], dark=False)
    steer(sys.argv[2], sys.argv[3], dark=True)
else:
    many(sys.argv[2], int(sys.argv[3]))
