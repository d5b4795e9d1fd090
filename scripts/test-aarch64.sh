#!/usr/bin/env bash
# The tests of the engine's kernels on an emulated 64-bit Arm: once with the dot product of bytes and
# once without. Arguments choose other tests of the engine (those with models take very long).
# It needs Rust's target and Debian's cross compiler and qemu:
#   rustup target add aarch64-unknown-linux-gnu
#   apt-get install gcc-aarch64-linux-gnu g++-aarch64-linux-gnu qemu-user

source "$(dirname "$0")/lib/common.sh"

target=aarch64-unknown-linux-gnu
[ -d "$(rustc --print sysroot)/lib/rustlib/$target" ] ||
    fail "Rust's target is missing: rustup target add $target"
for command in aarch64-linux-gnu-gcc aarch64-linux-gnu-g++ qemu-aarch64; do
    has "$command" ||
        fail "$command is missing: install gcc-aarch64-linux-gnu, g++-aarch64-linux-gnu and qemu-user"
done

export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc
export CXX_aarch64_unknown_linux_gnu=aarch64-linux-gnu-g++

# The first has the dot product, the second has not.
for cpu in max cortex-a72; do
    heading "Tests on $cpu"
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu -cpu $cpu"
    cargo test --release --locked --target "$target" -p praxis-engine --lib -- "${@:-compute::}"
done
