// What a block for a proxy is about: the address that people type, what is behind it, and where BackChannel answers. What
// is read here goes into configuration files, so it takes nothing but host names, addresses and ports.
import { isLoopback, isLoopbackOrigin, isUnder, parseOrigin } from '@backchannel/server/address';
import type { Config } from '@backchannel/server/config';
import { DEVICE_COOKIE, PASS_COOKIE } from '@backchannel/server/cookies';
import { badUsage, refusal } from '../failure.ts';

export interface Site {
  /** The address that people type, as an origin. */
  readonly url: URL;
  /** The application's own, as an origin; null for the block of BackChannel itself. */
  readonly upstream: URL | null;
  /** Where the proxy reaches BackChannel, as an origin. */
  readonly backchannel: URL;
  readonly publicUrl: URL;
  /** The cookies that no application may see, the session's without its prefix. */
  readonly cookies: { readonly session: string; readonly others: readonly string[] };
  /** Paths that everybody may see: with a slash at the end all that is below, else that one. */
  readonly open: readonly string[];
  /** Whether browsers and programs are asked for HTTP Basic. */
  readonly basic: boolean;
  /** Whether applications are told an address of email. */
  readonly email: boolean;
  /** Files; null where the proxy's usual ones are meant. */
  readonly certificate: { readonly file: string; readonly key: string } | null;
  /** The words that print this block again, after `backchannel proxy-config` and the proxy's name. */
  readonly words: string;
}

export interface SiteOptions {
  basic?: boolean | undefined;
  backchannel?: string | undefined;
  cert?: string | undefined;
  key?: string | undefined;
  public?: string[] | undefined;
}

/** @throws Failure where the words are none that could go into a configuration. */
export function readSite(
  config: Config,
  [host, upstream]: readonly [string | undefined, string | undefined],
  options: SiteOptions,
): Site {
  const publicUrl = new URL(config.publicUrl);
  const url = host === undefined ? publicUrl : readHost(host, publicUrl);
  const isOwn = url.origin === publicUrl.origin;
  if (isOwn && upstream !== undefined) {
    throw badUsage(`${url.host} is BackChannel's own address, PUBLIC_URL; for its block leave UPSTREAM out`);
  }
  if (!isOwn && upstream === undefined) {
    throw badUsage(`${url.host} needs an UPSTREAM, where the application itself is: http://127.0.0.1:3000`);
  }
  const behind = upstream === undefined ? null : readUpstream(upstream);
  const backchannel = readBackchannel(config, options.backchannel);
  const certificate = readCertificate(options, url);
  const open = readOpen(options.public ?? [], { isOwn });
  const words = [
    ...(behind ? [url.host, behind.origin] : []),
    ...open.flatMap((path) => ['--public', path]),
    ...(options.basic ? ['--basic'] : []),
    ...(options.backchannel === undefined ? [] : ['--backchannel', backchannel.origin]),
    ...(certificate ? ['--cert', certificate.file, '--key', certificate.key] : []),
  ];
  const site: Site = {
    url,
    upstream: behind,
    backchannel,
    publicUrl,
    cookies: { session: config.cookieName.replace(/^__Host-/, ''), others: [PASS_COOKIE, DEVICE_COOKIE] },
    open,
    basic: options.basic === true,
    email: config.operatorEmail !== null,
    certificate,
    words: words.join(' '),
  };
  refuseLoops(site, config);
  return site;
}

/** Whether a browser brings BackChannel's cookies there. */
export const isCovered = ({ url, publicUrl }: Site, { cookieDomain }: Config): boolean =>
  url.hostname === publicUrl.hostname || (cookieDomain !== null && isUnder(url.hostname, cookieDomain));

/** The port that is listened on. */
export const portOf = ({ port, protocol }: URL): number => Number(port || (protocol === 'https:' ? 443 : 80));

function readHost(host: string, publicUrl: URL): URL {
  const scheme = publicUrl.protocol.slice(0, -1);
  if (/[/@]/.test(host)) {
    throw badUsage(
      `HOST is a host name, perhaps with :port, and has the scheme of PUBLIC_URL (${scheme}): app.example.com`,
    );
  }
  const parsed = parseOrigin(`${scheme}://${host}`);
  if (!('origin' in parsed) || new URL(parsed.origin).port === '0') {
    throw badUsage(`${shown(host)} is no host name, perhaps with :port, such as app.example.com`);
  }
  return new URL(parsed.origin);
}

function readUpstream(upstream: string): URL {
  const parsed = parseOrigin(/^https?:\/\//i.test(upstream) ? upstream.replace(/\/$/, '') : `http://${upstream}`);
  if ('origin' in parsed && new URL(parsed.origin).port !== '0') return new URL(parsed.origin);
  throw badUsage(
    `${shown(upstream)} is no UPSTREAM: scheme, host and port without a path, such as http://127.0.0.1:3000`,
  );
}

function readBackchannel({ host, port }: Config, given: string | undefined): URL {
  if (given !== undefined) {
    const parsed = parseOrigin(given.replace(/\/$/, ''));
    if ('origin' in parsed && parsed.origin.startsWith('http:')) return new URL(parsed.origin);
    throw badUsage(`${shown(given)} is no address of BackChannel, such as http://127.0.0.1:8000`);
  }
  if (port === 0)
    throw refusal('PORT is 0, any free one: say where BackChannel is with --backchannel http://127.0.0.1:8000');
  // What listens on every address does so on loopback, where the proxy is likely to be.
  const here = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return new URL(`http://${here.includes(':') ? `[${here}]` : here}:${port}`);
}

function readCertificate({ cert, key }: SiteOptions, url: URL): Site['certificate'] {
  if (cert === undefined && key === undefined) return null;
  if (cert === undefined || key === undefined) throw badUsage('--cert and --key go together');
  if (url.protocol !== 'https:') throw badUsage('PUBLIC_URL is http, which takes no certificate');
  const odd = [cert, key].find((path) => !/^\/[\w./@+-]+$/.test(path));
  if (odd !== undefined) throw badUsage(`${shown(odd)} is no absolute path of letters, digits and ./@+-`);
  return { file: cert, key };
}

function readOpen(paths: readonly string[], { isOwn }: { isOwn: boolean }): string[] {
  if (isOwn && paths.length > 0) throw badUsage("--public is for an application's paths: BackChannel guards its own");
  // As they come in a request: nothing that would have to be decoded, and nothing that leads up.
  const odd = paths.find((path) => !/^(?:\/[\w.~-]+)+\/?$/.test(path) || /\/\.\.?(?:\/|$)/.test(path));
  if (odd === undefined) return [...new Set(paths)];
  throw badUsage(`${shown(odd)} is no path to open, such as /hook, or /share/ for all that is below it`);
}

/** A proxy that listens where it forwards to would ask itself, or could not start. */
function refuseLoops({ url, upstream, backchannel, publicUrl }: Site, { host }: Config): void {
  const isHere = (other: URL) =>
    portOf(other) === portOf(url) && (isLoopbackOrigin(other.origin) || other.host === url.host);
  if (upstream === null && isHere(backchannel) && url.protocol === 'http:') {
    throw refusal(
      `PUBLIC_URL is ${publicUrl.origin}, where BackChannel itself listens (${host}): a proxy in front of it needs an ` +
        'address of its own, such as PUBLIC_URL=https://auth.example.com',
    );
  }
  if (upstream !== null && isLoopback(url.hostname) && isHere(upstream)) {
    throw badUsage(`HOST and UPSTREAM are the same address, ${url.host}: the proxy needs a port of its own`);
  }
}

/** What was typed, fit for a terminal. */
const shown = (text: string): string => JSON.stringify(text.slice(0, 60)).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '\uFFFD');
