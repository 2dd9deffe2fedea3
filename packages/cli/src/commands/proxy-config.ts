// `backchannel proxy-config`: prints the reverse proxy configuration that protects an application with this server. The
// blocks are in ../proxies.
import { commandLine } from '@backchannel/server/installation';
import { defineCommand, defineGroup, type Given, type Result } from '../command.ts';
import { readConfig } from '../configuration.ts';
import { adviceFor, type ProxyName } from '../proxies/advice.ts';
import { caddyBlock } from '../proxies/caddy.ts';
import { nginxBlock } from '../proxies/nginx.ts';
import { readSite, type Site, type SiteOptions } from '../proxies/site.ts';
import { traefikBlock } from '../proxies/traefik.ts';

const options = {
  public: {
    type: 'string',
    value: 'PATH',
    multiple: true,
    about: 'a public path: /hook, or /share/ and everything below it; repeatable',
  },
  preflight: {
    type: 'boolean',
    about: 'pass CORS preflights without sign-in, for pages of another application that call it',
  },
  basic: { type: 'boolean', about: 'ask for HTTP Basic in a 401, for programs that send a password only when asked' },
  backchannel: {
    type: 'string',
    value: 'URL',
    about: 'the address at which the proxy reaches BackChannel; default: HOST and PORT',
  },
} as const;

const certificate = {
  cert: { type: 'string', value: 'FILE', about: 'the certificate of HOST' },
  key: { type: 'string', value: 'FILE', about: 'its key' },
} as const;

const blocks: Readonly<Record<ProxyName, (site: Site) => string>> = {
  nginx: nginxBlock,
  caddy: caddyBlock,
  traefik: traefikBlock,
};

const parts = (proxy: ProxyName, title: string) => ({
  usage: `proxy-config ${proxy} [HOST UPSTREAM]`,
  about:
    `Prints the ${title} configuration that puts the sign-in in front of the application at UPSTREAM. HOST is the public\n` +
    'host name of the application. Without the two, it prints the block for BackChannel itself, at the host of PUBLIC_URL.\n\n' +
    `  ${commandLine} proxy-config ${proxy} app.example.com http://127.0.0.1:3000`,
  argument: 'HOST' as const,
  further: 'UPSTREAM' as const,
  run: async (values: SiteOptions, { argument: host, further: upstream, context }: Given): Promise<Result> => {
    const config = readConfig(context);
    const site = readSite(config, [host, upstream], values);
    const text = blocks[proxy](site);
    return { text, json: { block: text }, advice: adviceFor(site, config, proxy) };
  },
});

export const command = defineGroup({
  usage: 'proxy-config',
  about:
    'Prints reverse proxy configuration that checks every request to an application with this server (forward-auth).',
  commands: {
    nginx: {
      about: 'print the block for nginx',
      command: defineCommand({ ...parts('nginx', 'nginx'), options: { ...options, ...certificate } }),
    },
    caddy: {
      about: 'print the block for Caddy',
      command: defineCommand({ ...parts('caddy', 'Caddy'), options: { ...options, ...certificate } }),
    },
    traefik: {
      about: 'print the block for Traefik',
      command: defineCommand({ ...parts('traefik', 'Traefik'), options }),
    },
  },
});
