// The server's API as a type, without its code. In the published package, build.ts puts the expanded type here.
export type { AppRouter } from '@backchannel/server/router';
