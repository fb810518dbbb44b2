"""A browser for these tests; each gets visitors of its own."""

import os

import pytest
from playwright.sync_api import sync_playwright

from .support import Visitor, require_chromium


def pytest_runtest_setup(item):
    """Skip a test before its fixtures do: what these skip takes a line for each test."""
    require_chromium()


@pytest.fixture(scope="module")
def browser():
    """Chromium without a window, for the tests of one file.

    While it is open the thread has an event loop that runs, which tests elsewhere do not expect.
    """
    program = require_chromium()
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser):
    """Returns a visitor of a console; nothing may have gone wrong in their browser at the end."""
    visitors = []

    def visit(url, **options):
        visitors.append(Visitor.of(browser, url, **options))
        return visitors[-1]

    yield visit
    troubles = [trouble for visitor in visitors for trouble in visitor.troubles]
    for visitor in visitors:
        visitor.context.close()
    assert troubles == []
