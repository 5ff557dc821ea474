"""Looks at a core's page in a headless Chromium, with keys and clicks as a user has them.

    page_viewer.py look|many URL [COUNT]

`look` wants a core that alice registered at and sent a PUBLISH to that nobody took; `many` one that recorded COUNT messages.
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
            page.value(f"document.getElementById('rows').scrollTop = {place} * 30")
            page.until(f"[...document.querySelectorAll('.row')].some((row) => row.ariaPosInSet === '{place + 1}')")
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
else:
    many(sys.argv[2], int(sys.argv[3]))
