// The input of a proxy block: the public address, the application behind it, and the address of BackChannel. The values go
// into configuration files, so only host names, addresses and ports are accepted.
import { isLoopback, isLoopbackOrigin, isUnder, parseOrigin } from '@backchannel/server/address';
import type { Config } from '@backchannel/server/config';
import { ownCookieNames } from '@backchannel/server/cookies';
import { badUsage, refusal } from '../failure.ts';

export interface Site {
  /** The public address, as an origin. */
  readonly url: URL;
  /** The address of the application, as an origin; null for the block of BackChannel itself. */
  readonly upstream: URL | null;
  /** The address at which the proxy reaches BackChannel, as an origin. */
  readonly backchannel: URL;
  readonly publicUrl: URL;
  /** The cookies that no application may see, the session cookie first. */
  readonly cookies: readonly string[];
  /** Public paths. A slash at the end includes everything below. */
  readonly open: readonly string[];
  /** Whether CORS preflights need no sign-in. */
  readonly preflight: boolean;
  /** Whether HTTP Basic is offered. */
  readonly basic: boolean;
  /** Whether applications receive an email address. */
  readonly email: boolean;
  /** The certificate files; null for the proxy's defaults. */
  readonly certificate: { readonly file: string; readonly key: string } | null;
  /** The arguments that print this block again, after `backchannel proxy-config` and the proxy's name. */
  readonly words: string;
}

export interface SiteOptions {
  preflight?: boolean | undefined;
  basic?: boolean | undefined;
  backchannel?: string | undefined;
  cert?: string | undefined;
  key?: string | undefined;
  public?: string[] | undefined;
}

/** @throws Failure when an argument can't go into a configuration file. */
export function readSite(
  config: Config,
  [host, upstream]: readonly [string | undefined, string | undefined],
  options: SiteOptions,
): Site {
  const publicUrl = new URL(config.publicUrl);
  const url = host === undefined ? publicUrl : readHost(host, publicUrl);
  const isOwn = url.origin === publicUrl.origin;
  if (isOwn && upstream !== undefined) {
    throw badUsage(`${url.host} is BackChannel's own address, PUBLIC_URL. For its block, leave out UPSTREAM`);
  }
  if (!isOwn && upstream === undefined) {
    throw badUsage(`${url.host} needs an UPSTREAM, the address of the application, such as http://127.0.0.1:3000`);
  }
  const behind = upstream === undefined ? null : readUpstream(upstream);
  const backchannel = readBackchannel(config, options.backchannel);
  const certificate = readCertificate(options, url);
  const open = readOpen(options.public ?? [], { isOwn });
  if (isOwn && options.preflight)
    throw badUsage('--preflight is for an application. BackChannel answers its own preflights');
  const words = [
    ...(behind ? [url.host, behind.origin] : []),
    ...open.flatMap((path) => ['--public', path]),
    ...(options.preflight ? ['--preflight'] : []),
    ...(options.basic ? ['--basic'] : []),
    ...(options.backchannel === undefined ? [] : ['--backchannel', backchannel.origin]),
    ...(certificate ? ['--cert', certificate.file, '--key', certificate.key] : []),
  ];
  const site: Site = {
    url,
    upstream: behind,
    backchannel,
    publicUrl,
    cookies: ownCookieNames(config),
    open,
    preflight: options.preflight === true,
    basic: options.basic === true,
    email: config.operatorEmail !== null,
    certificate,
    words: words.join(' '),
  };
  refuseLoops(site, config);
  return site;
}

/** Whether browsers send BackChannel's cookies to the site. */
export const isCovered = ({ url, publicUrl }: Site, { cookieDomain }: Config): boolean =>
  url.hostname === publicUrl.hostname || (cookieDomain !== null && isUnder(url.hostname, cookieDomain));

/** The port on which the proxy listens. */
export const portOf = ({ port, protocol }: URL): number => Number(port || (protocol === 'https:' ? 443 : 80));

function readHost(host: string, publicUrl: URL): URL {
  const scheme = publicUrl.protocol.slice(0, -1);
  if (/[/@]/.test(host)) {
    throw badUsage(
      `HOST must be a host name with an optional :port, such as app.example.com. The scheme is that of PUBLIC_URL (${scheme})`,
    );
  }
  const parsed = parseOrigin(`${scheme}://${host}`);
  if (!('origin' in parsed) || new URL(parsed.origin).port === '0') {
    throw badUsage(`${printable(host)} is not a host name with an optional :port, such as app.example.com`);
  }
  return new URL(parsed.origin);
}

function readUpstream(upstream: string): URL {
  const parsed = parseOrigin(/^https?:\/\//i.test(upstream) ? upstream.replace(/\/$/, '') : `http://${upstream}`);
  if ('origin' in parsed && new URL(parsed.origin).port !== '0') return new URL(parsed.origin);
  throw badUsage(
    `${printable(upstream)} is not an UPSTREAM: scheme, host and port without a path, such as http://127.0.0.1:3000`,
  );
}

function readBackchannel({ host, port }: Config, given: string | undefined): URL {
  if (given !== undefined) {
    const parsed = parseOrigin(given.replace(/\/$/, ''));
    if ('origin' in parsed && parsed.origin.startsWith('http:')) return new URL(parsed.origin);
    throw badUsage(`${printable(given)} is not an address of BackChannel, such as http://127.0.0.1:8000`);
  }
  if (port === 0)
    throw refusal('PORT is 0, any free port. Give the address of BackChannel: --backchannel http://127.0.0.1:8000');
  // A server that listens on every address also listens on loopback, where the proxy is likely to be.
  const here = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return new URL(`http://${here.includes(':') ? `[${here}]` : here}:${port}`);
}

function readCertificate({ cert, key }: SiteOptions, url: URL): Site['certificate'] {
  if (cert === undefined && key === undefined) return null;
  if (cert === undefined || key === undefined) throw badUsage('--cert and --key go together');
  if (url.protocol !== 'https:')
    throw badUsage('PUBLIC_URL is http and needs no certificate. Leave out --cert and --key');
  const invalid = [cert, key].find((path) => !/^\/[\w./@+-]+$/.test(path));
  if (invalid !== undefined) {
    throw badUsage(`${printable(invalid)} is not an absolute path of letters, digits and the characters _./@+-`);
  }
  return { file: cert, key };
}

function readOpen(paths: readonly string[], { isOwn }: { isOwn: boolean }): string[] {
  if (isOwn && paths.length > 0)
    throw badUsage('--public is for paths of an application. BackChannel guards its own paths');
  // Only paths that a request contains literally: nothing to decode, and no `..`.
  const invalid = paths.find((path) => !/^(?:\/[\w.~-]+)+\/?$/.test(path) || /\/\.\.?(?:\/|$)/.test(path));
  if (invalid === undefined) return [...new Set(paths)];
  throw badUsage(`${printable(invalid)} cannot be a public path. Use /hook, or /share/ for everything below it`);
}

/** A proxy that forwards to its own address would call itself, or could not start. */
function refuseLoops({ url, upstream, backchannel, publicUrl }: Site, { host }: Config): void {
  const isHere = (other: URL) =>
    portOf(other) === portOf(url) && (isLoopbackOrigin(other.origin) || other.host === url.host);
  if (upstream === null && isHere(backchannel) && url.protocol === 'http:') {
    throw refusal(
      `PUBLIC_URL is ${publicUrl.origin}, where BackChannel itself listens (${host}). A proxy in front of it needs another ` +
        'address, such as PUBLIC_URL=https://auth.example.com',
    );
  }
  if (upstream !== null && isLoopback(url.hostname) && isHere(upstream)) {
    throw badUsage(`HOST and UPSTREAM are the same address, ${url.host}. The proxy needs another port`);
  }
}

/** An argument, quoted and safe to print on a terminal. */
const printable = (text: string): string =>
  JSON.stringify(text.slice(0, 60)).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '\uFFFD');
