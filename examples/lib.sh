# What the examples share; each `run` begins with it. It copies the files of an
# example into a folder of its own, starts what they need, and ends all of it.
#
# SYMBOLON               the binary: target/release/symbolon unless said otherwise
# SYMBOLON_EXAMPLE_PORTS the first four digits of all ports: 1808 unless said otherwise
# SYMBOLON_TEST_NODE     a folder `node_modules` that has what examples in Node need
# SYMBOLON_TEST_PYTHON   a Python that has what examples in Python need
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[1]}")" && pwd)
symbolon=${SYMBOLON:-$here/../../target/release/symbolon}
ports=${SYMBOLON_EXAMPLE_PORTS:-1808}
work=$(mktemp -d)
started=()

finish() {
    local status=$?
    trap - EXIT INT TERM
    ((${#started[@]} == 0)) || kill "${started[@]}" 2>/dev/null || true
    wait || true
    # What went wrong is in there.
    if ((status == 0 || status >= 128)); then
        rm -rf "$work"
    else
        tail -n 20 "$work"/*.log >&2 || true
    fi
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

if [[ ! -x $symbolon ]]; then
    echo 'no binary yet: cargo build --release' >&2
    exit 1
fi

# take FILE…: copies files of the example, with the ports that were asked for.
take() {
    local file
    for file; do
        sed "s/1808\([0-9]\)/$ports\1/g" "$here/$file" >"$work/$file"
    done
}

# start NAME COMMAND…: runs a program in the folder, with what it prints in a file.
start() {
    local name=$1
    shift
    (cd "$work" && exec "$@" </dev/null >"$work/$name.log" 2>&1) &
    started+=($!)
}

# answering URL: waits until somebody answers there, whatever it is.
answering() {
    local try own
    for ((try = 0; try < 300; try++)); do
        if curl -s -o /dev/null "$1"; then return; fi
        for own in "${started[@]}"; do kill -0 "$own" 2>/dev/null || break 2; done
        sleep 0.1
    done
    echo "nobody answers at $1" >&2
    return 1
}

# guard: starts issuer and gateway of symbolon.toml.
guard() {
    take symbolon.toml
    start issuer "$symbolon" serve --config symbolon.toml
    answering "http://127.0.0.1:${ports}0/healthz"
    start gateway "$symbolon" gateway --config symbolon.toml
    answering "http://127.0.0.1:${ports}1/"
}

# node_modules: sees to the packages of package.json.
node_modules() {
    local own=${SYMBOLON_TEST_NODE:-$here/node_modules}
    [[ -d $own ]] || npm ci --silent --prefix "$here"
    ln -s "$own" "$work/node_modules"
}

# python_packages: sees to the packages of requirements.txt, and sets $python.
python_packages() {
    python=${SYMBOLON_TEST_PYTHON:-$here/.venv/bin/python}
    if [[ ! -x $python ]]; then
        python3 -m venv "$here/.venv"
        "$python" -m pip install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
    fi
}

# token SCOPE: a token of the client `shop`.
token() {
    curl -sS -u shop:shop-secret -d grant_type=client_credentials -d "scope=$1" \
        "http://127.0.0.1:${ports}0/token" | sed 's/.*"access_token":"\([^"]*\)".*/\1/'
}

# try STATUS ARGUMENT…: prints a call and the status that it ends with.
try() {
    local status=$1 word
    shift
    printf 'curl -i'
    for word; do
        if [[ $word =~ ^[A-Za-z0-9_./:=-]+$ ]]; then printf ' %s' "$word"; else printf " '%s'" "$word"; fi
    done
    printf '   # %s\n' "$status"
}

# serve: says that all runs, and waits until it is ended.
serve() {
    echo 'ready; Ctrl-C ends it'
    wait -n "${started[@]}"
    echo 'something ended by itself' >&2
    exit 1
}
