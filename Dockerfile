# The server and its command line, without what only development needs. `.ci/image.ts` runs these very steps.

FROM node:24-slim AS build
WORKDIR /app
# Without the root's package.json: what that asks for, a Node of its own among it, is for development.
COPY pnpm-lock.yaml pnpm-workspace.yaml .pnpmfile.mjs ./
COPY packages/server/package.json packages/server/
COPY packages/client-sdk/package.json packages/client-sdk/
COPY packages/cli/package.json packages/cli/
# The command line and, as its dependencies, the server and the client.
RUN npx -y pnpm@12 install --prod --frozen-lockfile --filter @backchannel/cli...
COPY packages/server/src packages/server/src
COPY packages/client-sdk/src packages/client-sdk/src
COPY packages/cli/src packages/cli/src
# One start, as the user that will run it, for what V8 compiles: each start of the image then takes half the time, and the
# process holds less memory. The service itself can't write it.
RUN install -d -o 1000 -g 1000 /app/.compiled /tmp/data \
  && NODE_COMPILE_CACHE=/app/.compiled DATA_DIR=/tmp/data PORT=0 LOG_LEVEL=error timeout --preserve-status -s TERM 10 \
  setpriv --reuid 1000 --regid 1000 --clear-groups node packages/server/src/main.ts \
  && chown -R 0:0 /app/.compiled && chmod -R a+rX /app/.compiled && rm -rf /tmp/data

FROM node:24-slim
ENV NODE_ENV=production HOST=0.0.0.0 DATA_DIR=/data NODE_COMPILE_CACHE=/app/.compiled
WORKDIR /app
COPY --from=build /app /app
# A checkout made on Windows or unpacked from an archive has no executable file. 1000 is the base image's user `node`,
# by number so that Kubernetes can tell that it is not root.
RUN chmod 755 /app/packages/cli/src/main.ts \
  && ln -s /app/packages/cli/src/main.ts /usr/local/bin/backchannel \
  && install -d -o 1000 -g 1000 -m 700 /data
USER 1000:1000
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 8000}/healthz`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# Nothing after the image's name: the server; else a command, as in `docker run --rm -it backchannel hash`. Each
# takes the shell's place and so gets Docker's signals itself.
ENTRYPOINT ["sh", "-c", "if [ $# -eq 0 ]; then exec node /app/packages/server/src/main.ts; else exec backchannel \"$@\"; fi", "sh"]
CMD []
