// `backchannel proxy-config`: what a reverse proxy needs to put this server in front of another application. The blocks are
// in ../proxies.
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
    about: 'what everybody may see: /hook, or /share/ and all below it; several',
  },
  basic: { type: 'boolean', about: 'ask for HTTP Basic, for programs that know nothing else' },
  backchannel: { type: 'string', value: 'URL', about: 'where the proxy reaches BackChannel; else by HOST and PORT' },
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
    `Prints the block for ${title} that puts the sign-in in front of the application at UPSTREAM, for people who type\n` +
    'HOST. Without the two it is the block of BackChannel itself, for the host of PUBLIC_URL.\n\n' +
    `  backchannel proxy-config ${proxy} app.example.com http://127.0.0.1:3000`,
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
  about: 'What a reverse proxy needs to ask this server about every request to another application.',
  commands: {
    nginx: {
      about: 'the block for nginx',
      command: defineCommand({ ...parts('nginx', 'nginx'), options: { ...options, ...certificate } }),
    },
    caddy: {
      about: 'the block for Caddy',
      command: defineCommand({ ...parts('caddy', 'Caddy'), options: { ...options, ...certificate } }),
    },
    traefik: {
      about: 'the block for Traefik',
      command: defineCommand({ ...parts('traefik', 'Traefik'), options }),
    },
  },
});
