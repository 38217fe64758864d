"""The console in a real browser: it loads in silence, its numbers move, and people and items are found."""

import asyncio
import os

import pytest

from streams import topics
from tests.integration import browser
from tests.integration.shop import Shop, wait_until, workers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

TOKEN = "s3cret-token"
FACT = "document.querySelector('[data-fact=\"{}\"]').textContent"


@pytest.fixture
def broker(embedded_broker):
    return embedded_broker


@pytest.fixture
def start(settings, tmp_path):
    reason = browser.missing()
    if reason and os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(f"{reason}; continuous integration must not skip it")
    if reason:
        pytest.skip(reason)
    topics.ensure(settings)
    yield from workers(settings, tmp_path)


def count(page, name):
    return page.look(FACT.format(name) + ".replaceAll(',', '')")


async def go_on(shop):
    """Let the shop's time pass, in which windows end."""
    while True:
        shop.send_events(50)
        await asyncio.sleep(0.2)


async def test_a_person_shows_the_token_watches_and_looks_things_up(settings, start, tmp_path):
    shop = Shop(settings)
    worker = start(
        KEEPSTREAM_API_TOKEN=TOKEN,
        KEEPSTREAM_CHECK_INTERVAL="1m",
        KEEPSTREAM_TICK="1m",
        KEEPSTREAM_EXPERIMENTS="trial/control/flat:category_share=1",
        KEEPSTREAM_EXPERIMENT_WINDOW="1m",
        KEEPSTREAM_ALLOWED_LATENESS="1m",
    )
    shop.send_events(300)
    wait_until(lambda: worker.judged() == shop.accepted + shop.duplicates, "every event judged")
    user = next(iter(shop.event_counts))

    async with browser.Browser(tmp_path) as page:
        await page.open(worker.url)
        await page.wait("document.activeElement.id === 'token'")
        refused = page.complaints[:]
        await page.type("wrong")
        await page.press("Enter", "\r")
        await page.wait("document.getElementById('token').value === ''")
        await page.wait("!document.getElementById('gate').hidden && document.activeElement.id === 'token'")
        await page.type(TOKEN)
        await page.press("Enter", "\r")
        await page.wait("document.getElementById('gate').hidden")
        assert all("401" in complaint for complaint in refused), refused
        page.complaints.clear()

        await page.wait(f"document.querySelector('#state.ok') && {FACT.format('users')} > 0")
        assert await count(page, "events so far") == str(shop.accepted + shop.duplicates)
        shop.send_events(300)
        await page.wait(f"{FACT.format('events so far')} == {shop.accepted + shop.duplicates}")
        await page.wait("document.querySelector('#rate canvas')")
        assert "events " in await page.look("document.getElementById('rate').ariaLabel")

        await page.look("document.getElementById('id').focus()")
        await page.type(user)
        await page.press("Enter", "\r")
        await page.wait(f"document.getElementById('found-title').textContent === '{user}'")
        shown = await page.look("document.getElementById('found').innerText")
        for name, number in shop.event_counts[user].items():
            assert f"{name.replace('_', ' ')}\n{number}" in shown, shown
        assert await page.look("document.activeElement.id") == "found"

        await page.look("document.querySelector('#found ol a').click()")
        await page.wait("document.getElementById('found-title').textContent.startsWith('sku/')")
        item = await page.look("document.getElementById('found-title').textContent")
        shown = await page.look("document.getElementById('found').innerText")
        assert f"touches\n{shop.touches[item]}\n" in shown, shown
        assert not page.complaints

        await page.look("location.hash = '#users=nobody%3Cb%3E'")
        await page.wait("document.getElementById('said').textContent === \"user 'u:nobody<b>' is not known\"")
        assert all("404" in complaint for complaint in page.complaints), page.complaints

        going_on = asyncio.create_task(go_on(shop))
        await page.wait("document.getElementById('experiments').innerText.includes('flat')")
        going_on.cancel()
        shown = await page.look("document.getElementById('experiments').innerText")
        assert all(word in shown for word in ("trial", "control", "flat", "hit rate", "purchased")), shown

        for width, scheme in ((390, "dark"), (1280, "light")):
            await page.scheme(scheme)
            await page.size(width, 844)
            await page.wait(f"document.documentElement.scrollWidth === {width}")
    assert "Traceback" not in worker.said
    assert worker.terminate() == 0, worker.said
