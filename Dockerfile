# The streamer (and everything else that `birdsong` does) in an image without a shell.
#   docker buildx build --platform linux/arm64,linux/amd64 -t birdsong .
# Rust is compiled on the builder's own platform for the target's, so that no emulation is needed.
# Each digest is of an index of all platforms; Dependabot raises tag and digest together.
FROM --platform=$BUILDPLATFORM docker.io/library/node:22.23.3-bookworm-slim@sha256:43ac6c60b8f89723f746e8a92ce91abd5017e627ce1ddfe4238355d3a30b772c AS node

FROM --platform=$BUILDPLATFORM docker.io/library/rust:1.95.0-bookworm@sha256:6258907abe69656e41cd992e0b705cdcfabcbbe3db374f92ed2d47121282d4a1 AS build
# Debian's own Node.js is too old for the dashboard's build.
COPY --from=node /usr/local/bin/node /usr/local/bin/node
COPY --from=node /usr/local/lib/node_modules /usr/local/lib/node_modules
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
ARG BUILDARCH
ARG TARGETARCH
# Debian has no cross compiler for the machine's own architecture: there it is gcc itself.
RUN case "$TARGETARCH" in \
        arm64) compiler=gcc-aarch64-linux-gnu ;; \
        amd64) compiler=gcc-x86-64-linux-gnu ;; \
        *) echo "there is no build for $TARGETARCH; take linux/arm64 or linux/amd64" >&2; exit 1 ;; \
    esac \
    && apt-get update && apt-get install -y --no-install-recommends cmake \
    && if [ "$TARGETARCH" != "$BUILDARCH" ]; then \
        apt-get install -y --no-install-recommends "$compiler" "libc6-dev-$TARGETARCH-cross"; \
    fi \
    && rm -rf /var/lib/apt/lists/*
ENV CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER=x86_64-linux-gnu-gcc \
    CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc \
    CC_x86_64_unknown_linux_gnu=x86_64-linux-gnu-gcc
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/source/target,sharing=locked \
    case "$TARGETARCH" in \
        arm64) target=aarch64-unknown-linux-gnu ;; \
        amd64) target=x86_64-unknown-linux-gnu ;; \
    esac \
    && rustup target add "$target" \
    && cargo build --locked --release --target "$target" -p birdsong --features aws \
    && mkdir -p /image/data \
    && cp "target/$target/release/birdsong" /image/birdsong

FROM gcr.io/distroless/cc-debian12:nonroot@sha256:9dac0a79194e45a7da0158a9c6da57b217585af0786db3845d1f0ec1a0dd182f
COPY --from=build /image/birdsong /birdsong
# Fargate mounts the volume of the spool here; it must belong to the user.
COPY --from=build --chown=65532:65532 /image/data /data
VOLUME ["/data"]
ENV BIRDSONG_DATA=/data
USER 65532:65532
ENTRYPOINT ["/birdsong"]
