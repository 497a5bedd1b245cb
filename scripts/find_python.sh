#!/bin/sh
# Prints a Python that can make this project's virtual environment: 3.11 or newer, with venv and ensurepip.
# Where there is none, says on stderr what was found and what to do, and exits with status 1.
#
#   python=$(sh scripts/find_python.sh)     searches; PYTHON=/usr/bin/python3.12 in the environment is taken instead
set -u

if [ -n "${PYTHON:-}" ]; then
  set -- "$PYTHON"
else
  # The environment's own comes first: a Python that appears on the PATH later is no reason to install everything anew.
  set -- .venv/bin/python python3.13 python3.12 python3.11 python3
fi

seen=""
without_venv=""
for candidate do
  # Asking is the only proof: the shims of version managers exist for versions that are not installed.
  version=$("$candidate" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null) || continue
  if ! "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    seen="$seen
  $candidate is Python $version: too old"
  elif ! "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
    seen="$seen
  $candidate is Python $version, without the modules venv and ensurepip"
    without_venv=${version%.*}
  else
    printf '%s\n' "$candidate"
    exit 0
  fi
done

{
  echo "No Python was found that this project can use: it needs 3.11 or newer."
  if [ -n "${PYTHON:-}" ] && [ -z "$seen" ]; then
    echo "  PYTHON=$PYTHON cannot be run"
  elif [ -n "$seen" ]; then
    echo "What was found:$seen"
  else
    echo "What was found: none of $*"
  fi
  if [ -n "$without_venv" ]; then
    echo "What to do: sudo apt install python$without_venv-venv   (Debian and Ubuntu keep these modules in a package of their own)"
  else
    echo "What to do: install Python 3.12 or 3.13"
    echo "  Debian, Ubuntu   sudo apt install python3 python3-venv   (or a newer python3.x of your release)"
    echo "  macOS            brew install python@3.13   (or the installer from python.org)"
    echo "  conda            conda create -n py313 python=3.13, then conda activate py313"
    echo "and run the command again. Another Python than the first on the PATH: make setup PYTHON=/path/to/python3.13"
  fi
} >&2
exit 1
