# Production dependencies and the runtime of the lock file, on a plain Debian. Nothing is compiled; the files run as they stand.
#
#   docker build -t order-pipeline .
#   docker run -p 8080:8080 -v orders:/data --stop-timeout 20 order-pipeline

# The Node of this image only runs npm. The service runs on its own, which is a package of the lock file and needs libatomic.
FROM node:24-bookworm-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends libatomic1 && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY package.json package-lock.json ./
# A workspace: without its folder npm would leave out what it depends on, and say nothing.
COPY src/threads/package.json src/threads/
RUN npm ci --omit=dev
COPY LICENSE README.md ./
COPY src ./src
COPY workers ./workers
# The first start writes the compile cache, for the user that will read it. Without it each thread loads a compiler of 10 MB.
COPY deploy/first-start.ts /tmp/
# A copy of the project may be its owner's alone, and COPY keeps that.
RUN chmod -R go=rX package.json package-lock.json LICENSE README.md src workers /tmp/first-start.ts && install -d -o 10001 -g 10001 node_modules/.cache
USER 10001:10001
RUN node_modules/.bin/node /tmp/first-start.ts

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends libatomic1 libstdc++6 && rm -rf /var/lib/apt/lists/*
WORKDIR /app
# Owned by root: the service cannot change what it runs, nor its compile cache.
COPY --from=build --chown=0:0 /app ./
RUN install -d -o 10001 -g 10001 -m 0700 /data
VOLUME /data
# The admin listener stays on loopback, so it is reached with `docker exec`, as the health check does. On another address it needs ADMIN_KEYS_FILE.
ENV HOST=0.0.0.0 JOURNAL=/data/orders.db
USER 10001:10001
EXPOSE 8080
# The admin listener answers however many clients the public one has.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["node_modules/.bin/node", "-e", "const host = process.env.ADMIN_HOST || '127.0.0.1'; fetch(`http://${host.includes(':') ? `[${host}]` : host}:${process.env.ADMIN_PORT || 9090}/healthz`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# Without a shell in between, so that SIGTERM reaches the server.
ENTRYPOINT ["node_modules/.bin/node", "src/start.js"]
