# Chromium, which shows the report as a page; pdftotext, which reads what it prints; axe-core, which looks for barriers in
# it. Sourced by tests/with-servers; nothing of it runs until a test starts it.

# axe-core 4.12.1, as a Python package ships it; the browser driver that the package is for is not wanted.
readonly AXE_PACKAGE=axe-playwright-python==0.1.8

install_chromium() {
    if ! command -v chromium > /dev/null || ! command -v pdftotext > /dev/null; then
        install_packages chromium poppler-utils
    fi
    if [ "$(cat "$INSTALLED/moto/axe" 2> /dev/null)" != "$AXE_PACKAGE" ]; then
        echo "installing: $AXE_PACKAGE, into $INSTALLED/moto" >&2
        quietly "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-deps "$AXE_PACKAGE"
        echo "$AXE_PACKAGE" > "$INSTALLED/moto/axe"
    fi
    FLOWCHECK_TEST_CHROMIUM=$(command -v chromium)
    FLOWCHECK_TEST_AXE=$(axe_core)
}

# The package is found without importing it, since that would import the driver.
axe_core() {
    "$PYTHON" -c '
from importlib.util import find_spec
from pathlib import Path
print(Path(find_spec("axe_playwright_python").origin).with_name("axe.min.js"))'
}
