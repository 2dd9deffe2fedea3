// The headers that a proxy deletes before a request reaches the application or BackChannel: those from which an application
// takes who is calling, from where, or which address is meant. Only a proxy may set them. A client that sets them itself could be
// anyone, on public paths too. Not listed are headers that clients send on purpose, such as X-Auth-Token and X-Api-Key.
import type { Site } from './site.ts';

/** The caller's identity. The proxy sets these headers from BackChannel's response, and nobody else may. */
export const identityHeaders = ({ email }: Pick<Site, 'email'>): readonly string[] => [
  'Remote-User',
  ...(email ? ['Remote-Email'] : []),
  'X-Auth-Method',
  'X-Auth-Session',
];

/** The client's headers that BackChannel reads when it checks a request. A proxy need not send it any others. */
export const verifyReads = [
  'Cookie',
  'Authorization',
  'X-Backchannel-Token',
  'Accept',
  'X-Requested-With',
  'Sec-Fetch-Mode',
  'Sec-Fetch-Dest',
  'Sec-Fetch-Site',
  'User-Agent',
  'X-Request-Id',
] as const;

/** Of the headers that it does not read: those that many clients send, for a proxy that can only leave out what it can name. */
export const verifyIgnores = [
  'Referer',
  'Origin',
  'Accept-*',
  'Cache-Control',
  'Content-*',
  'If-*',
  'Range',
  'Sec-Ch-*',
] as const;

/** Headers that make another method out of the request's. A browser's preflight has none (Fetch, 4.8). */
export const methodOverrides = ['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override'] as const;

interface Trusted {
  /** Who sets the headers or takes them for granted, and where that is written. */
  readonly source: string;
  readonly names: readonly string[];
  /** Proxies that know wildcards delete all names that begin like this. */
  readonly prefixes?: readonly string[];
}

/** Names with each prefix: `named('X-A-', 'B C')` is X-A-B and X-A-C. */
const named = (prefix: string, rest: string): readonly string[] => rest.split(' ').map((name) => prefix + name);

const identities: readonly Trusted[] = [
  {
    source: 'Authelia: https://www.authelia.com/integration/trusted-header-sso/introduction/',
    names: named('Remote-', 'User Groups Name Email'),
    prefixes: ['Remote-'],
  },
  {
    source: 'Pangolin: https://docs.pangolin.net/manage/access-control/forwarded-headers',
    names: ['Remote-Role'],
  },
  {
    source:
      'Grafana: https://grafana.com/docs/grafana/latest/setup-grafana/configure-security/configure-authentication/auth-proxy/',
    names: named('X-WEBAUTH-', 'USER NAME EMAIL LOGIN ROLE GROUPS ORGS'),
    prefixes: ['X-WEBAUTH-'],
  },
  {
    source:
      'Gitea and Forgejo, REVERSE_PROXY_AUTHENTICATION_*: https://docs.gitea.com/administration/config-cheat-sheet',
    names: ['X-WEBAUTH-FULLNAME'],
  },
  {
    source: 'caddy-tailscale: https://github.com/tailscale/caddy-tailscale',
    names: [...named('X-WEBAUTH-', 'TAILNET PHOTO PROFILE-PICTURE'), 'X-Tailscale-Tailnet'],
  },
  {
    source: 'Kubernetes: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#authenticating-proxy',
    names: named('X-Remote-', 'User Group Extra-Scopes'),
    prefixes: ['X-Remote-'],
  },
  {
    source: 'Home Assistant: https://developers.home-assistant.io/docs/add-ons/presentation/#ingress',
    names: [...named('X-Remote-User-', 'Id Name Display-Name'), 'X-Ingress-Path', 'X-Hass-Source'],
  },
  {
    source: 'The same names in OpenProject, Radicale, Splunk and others, with the attributes of the person',
    names: named('X-Remote-', 'Groups Email Name'),
  },
  {
    source: 'oauth2-proxy, for auth_request: https://oauth2-proxy.github.io/oauth2-proxy/configuration/overview',
    names: named('X-Auth-Request-', 'User Email Groups Preferred-Username Access-Token Redirect'),
    prefixes: ['X-Auth-Request-'],
  },
  {
    source: 'oauth2-proxy, for upstreams: https://oauth2-proxy.github.io/oauth2-proxy/configuration/overview',
    names: named('X-Forwarded-', 'User Email Groups Preferred-Username Access-Token'),
  },
  {
    source:
      'SonarQube, sonar.web.sso.*: https://docs.sonarsource.com/sonarqube-server/instance-administration/authentication/http-header',
    names: named('X-Forwarded-', 'Login Name'),
  },
  {
    source: 'Redash, REDASH_REMOTE_USER_HEADER: https://redash.io/help/open-source/admin-guide/env-vars-settings/',
    names: ['X-Forwarded-Remote-User'],
  },
  {
    source: 'Rundeck: https://docs.rundeck.com/docs/administration/security/authentication.html#preauthenticated-mode',
    names: named('X-Forwarded-', 'Uuid Roles'),
  },
  {
    source: 'Jenkins: https://plugins.jenkins.io/reverse-proxy-auth-plugin/',
    names: named('X-Forwarded-', 'DisplayName Mail'),
  },
  {
    source: 'Keycloak Gatekeeper and its successors: https://github.com/gogatekeeper/gatekeeper',
    names: named('X-Auth-', 'Audience Email ExpiresIn Groups Roles Subject Userid Username'),
  },
  {
    source: 'The example of forwardAuth: https://doc.traefik.io/traefik/middlewares/http/forwardauth/',
    names: named('X-Auth-', 'User Name'),
  },
  {
    source: 'authentik: https://docs.goauthentik.io/add-secure-apps/providers/proxy',
    names: named(
      'X-Authentik-',
      'Username Groups Entitlements Email Name Uid Jwt Meta-Jwks Meta-Outpost Meta-Provider Meta-App Meta-Version',
    ),
    prefixes: ['X-Authentik-'],
  },
  {
    source:
      'Cloudflare Access: https://developers.cloudflare.com/cloudflare-one/identity/authorization-cookie/validating-json/',
    names: named('Cf-Access-', 'Authenticated-User-Email Jwt-Assertion'),
  },
  {
    source: 'Google IAP: https://cloud.google.com/iap/docs/signed-headers-howto',
    names: named('X-Goog-', 'Authenticated-User-Email Authenticated-User-Id IAP-JWT-Assertion'),
    prefixes: ['X-Goog-Authenticated-User-', 'X-Goog-IAP-'],
  },
  {
    source: 'Google App Engine: https://cloud.google.com/appengine/docs/standard/reference/request-headers',
    names: named(
      'X-Appengine-',
      'User-Email User-Id User-Nickname User-Is-Admin User-Organization User-IP Cron QueueName Inbound-Appid',
    ),
    prefixes: ['X-Appengine-'],
  },
  {
    source:
      'AWS load balancers: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-authenticate-users.html',
    names: named('X-Amzn-Oidc-', 'Identity Data Accesstoken'),
    prefixes: ['X-Amzn-Oidc-'],
  },
  {
    source: 'Azure App Service: https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities',
    names: [
      'X-Ms-Client-Principal',
      ...named('X-Ms-Client-Principal-', 'Id Name Idp'),
      ...named('X-Ms-Token-Aad-', 'Access-Token Id-Token Refresh-Token'),
    ],
    prefixes: ['X-Ms-Client-Principal', 'X-Ms-Token-'],
  },
  {
    source: 'Tailscale: https://tailscale.com/kb/1312/serve#identity-headers',
    names: ['Tailscale-App-Capabilities', ...named('Tailscale-User-', 'Login Name Profile-Pic')],
    prefixes: ['Tailscale-'],
  },
  {
    source: 'Tailscale nginx-auth: https://pkg.go.dev/tailscale.com/cmd/nginx-auth',
    names: named('Tailscale-', 'User Login Name Profile-Picture Tailnet'),
  },
  {
    source: 'Pomerium: https://www.pomerium.com/docs/reference/pass-identity-headers',
    names: ['X-Pomerium-Jwt-Assertion', ...named('X-Pomerium-Claim-', 'Email Groups User Name Sub')],
    prefixes: ['X-Pomerium-'],
  },
  {
    source: 'Vouch: https://github.com/vouch/vouch-proxy',
    names: named(
      'X-Vouch-',
      'User Success IdP-AccessToken IdP-IdToken IdP-Claims-Email IdP-Claims-Groups IdP-Claims-Name IdP-Claims-Sub',
    ),
    prefixes: ['X-Vouch-'],
  },
  {
    source: 'Kong: https://developer.konghq.com/plugins/oauth2/',
    names: [
      ...named('X-Consumer-', 'ID Custom-ID Username Groups'),
      ...named('X-Authenticated-', 'Userid Scope Groups'),
      ...named('X-Credential-', 'Identifier Username'),
      'X-Anonymous-Consumer',
    ],
    prefixes: ['X-Consumer-', 'X-Authenticated-', 'X-Credential-'],
  },
  {
    source: 'Etherpad: https://www.npmjs.com/package/ep_headerauth',
    names: named('X-Authenticated-', 'User Name'),
  },
  {
    source: 'OpenSearch: https://docs.opensearch.org/latest/security/authentication-backends/proxy/',
    names: named('X-Proxy-', 'User Roles'),
    prefixes: ['X-Proxy-'],
  },
  {
    source: 'CouchDB: https://docs.couchdb.org/en/stable/api/server/authn.html#proxy-authentication',
    names: named('X-Auth-CouchDB-', 'UserName Roles Token'),
    prefixes: ['X-Auth-CouchDB-'],
  },
  {
    source: 'CloudBeaver: https://dbeaver.com/docs/cloudbeaver/Reverse-proxy-header-authentication/',
    names: named('X-', 'User Role First-Name Last-Name'),
  },
  {
    source: 'Open WebUI, WEBUI_AUTH_TRUSTED_*_HEADER: https://docs.openwebui.com/features/auth/sso/',
    names: named('X-User-', 'Email Name'),
  },
  {
    source: 'Sandstorm: https://docs.sandstorm.io/en/latest/developing/auth/',
    names: named('X-Sandstorm-', 'User-Id Username Permissions Preferred-Handle Tab-Id'),
    prefixes: ['X-Sandstorm-'],
  },
  {
    source: 'YunoHost: https://doc.yunohost.org/en/packaging/sso_ldap_integration',
    names: ['Auth-User', 'Ynh-User', ...named('Ynh-User-', 'Email Fullname')],
    prefixes: ['Ynh-User'],
  },
  {
    source: 'LemonLDAP::NG: https://lemonldap-ng.org/documentation/latest/writingrulesand_headers.html',
    names: named('Auth-', 'Mail Cn Groups'),
  },
  {
    source: 'mod_auth_openidc: https://github.com/OpenIDC/mod_auth_openidc/wiki/Single-Page-Applications',
    names: named('OIDC-', 'Claim-Sub Claim-Email Claim-Name Claim-Preferred-Username Access-Token Id-Token'),
    prefixes: ['OIDC-'],
  },
  {
    source: 'Kubeflow, USERID_HEADER: https://www.kubeflow.org/docs/components/central-dash/',
    names: ['Kubeflow-Userid', 'Kubeflow-Groups'],
  },
  {
    source: 'Apache NiFi: https://nifi.apache.org/docs/nifi-docs/html/administration-guide.html#proxy_configuration',
    names: [
      'X-ProxiedEntitiesChain',
      'X-ProxiedEntityGroups',
      'X-ProxyContextPath',
      'X-ProxyHost',
      'X-ProxyPort',
      'X-ProxyScheme',
    ],
    prefixes: ['X-Proxied'],
  },
  {
    source: 'SiteMinder, Oracle Access Manager and WebSEAL, as their agents pass people on',
    names: ['SM-User', 'SM-UserDN', 'OAM-Remote-User', ...named('Iv-', 'User User-L Groups Creds')],
  },
];

const certificates: readonly Trusted[] = [
  { source: 'RFC 9440', names: ['Client-Cert', 'Client-Cert-Chain'] },
  {
    source: 'Envoy: https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/headers',
    names: ['X-Forwarded-Client-Cert'],
  },
  {
    source: 'Traefik: https://doc.traefik.io/traefik/middlewares/http/passtlsclientcert/',
    names: ['X-Forwarded-Tls-Client-Cert', 'X-Forwarded-Tls-Client-Cert-Info'],
  },
  {
    source:
      'HAProxy: https://www.haproxy.com/documentation/haproxy-configuration-tutorials/security/authentication/client-certificate-authentication/',
    names: [
      'X-SSL',
      'X-SSL-Issuer',
      ...named(
        'X-SSL-Client-',
        'Cert Verify DN S-DN CN SHA1 Serial Issuer Not-Before Not-After I-DN Session-Id Fingerprint',
      ),
    ],
    prefixes: ['X-SSL'],
  },
  {
    source:
      'ingress-nginx: https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations/#client-certificate-authentication',
    names: named('SSL-Client-', 'Verify Subject-DN Issuer-DN Cert S-DN Serial Fingerprint'),
    prefixes: ['SSL-Client-'],
  },
  {
    source:
      'Azure App Service: https://learn.microsoft.com/azure/app-service/app-service-web-configure-tls-mutual-auth',
    names: ['X-ARR-ClientCert'],
  },
  {
    source:
      'AWS load balancers: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/header-modification.html',
    names: [
      'X-Amzn-Mtls-Clientcert',
      ...named('X-Amzn-Mtls-Clientcert-', 'Serial-Number Issuer Subject Validity Leaf'),
    ],
    prefixes: ['X-Amzn-Mtls-'],
  },
  {
    source: 'Puppet Server: https://www.puppet.com/docs/puppet/latest/server/external_ssl_termination.html',
    names: named('X-Client-', 'Cert Verify DN'),
  },
];

const addresses: readonly Trusted[] = [
  { source: 'RFC 7239', names: ['Forwarded'] },
  {
    source: 'Cloudflare: https://developers.cloudflare.com/fundamentals/reference/http-headers/',
    names: ['CF-Connecting-IP', 'CF-Connecting-IPv6', 'CF-Pseudo-IPv4', 'True-Client-IP'],
  },
  {
    source: 'Akamai, X-Forwarded-For of others, as request-ip reads them: https://www.npmjs.com/package/request-ip',
    names: ['X-Client-IP', 'X-Cluster-Client-IP', 'X-Forwarded', 'Forwarded-For', 'X-Real-IP'],
  },
  {
    source: 'Fastly: https://www.fastly.com/documentation/reference/http/http-headers/Fastly-Client-IP/',
    names: ['Fastly-Client-IP'],
  },
  { source: 'Fly: https://fly.io/docs/networking/request-headers/', names: ['Fly-Client-IP'] },
  {
    source: 'Azure: https://learn.microsoft.com/azure/frontdoor/front-door-http-headers-protocol',
    names: ['X-Azure-ClientIP', 'X-Azure-SocketIP'],
  },
  {
    source: 'Envoy: https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/headers',
    names: ['X-Envoy-External-Address', 'X-Envoy-Original-Path'],
  },
  {
    source:
      'CloudFront: https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/adding-cloudfront-headers.html',
    names: ['CloudFront-Viewer-Address'],
  },
  {
    source: 'DigitalOcean, Netlify and Vercel, as their platforms pass it on',
    names: ['DO-Connecting-IP', 'X-Nf-Client-Connection-Ip', 'X-Vercel-Forwarded-For', 'X-Vercel-Proxied-For'],
  },
  { source: 'Imperva and Sucuri, as their firewalls pass it on', names: ['Incap-Client-IP', 'X-Sucuri-ClientIP'] },
  {
    source: 'WebLogic: https://docs.oracle.com/en/middleware/standalone/weblogic-server/ (WebLogic Plugin Enabled)',
    names: ['Proxy-Client-IP', ...named('WL-Proxy-', 'Client-IP SSL Client-Cert')],
    prefixes: ['WL-Proxy-'],
  },
  {
    source: 'ingress-nginx: https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/configmap/',
    names: ['X-Original-Forwarded-For', 'X-Scheme'],
  },
  {
    source: 'Ruby on Rails, ActionDispatch::RemoteIp: https://api.rubyonrails.org/classes/ActionDispatch/RemoteIp.html',
    names: ['Client-IP'],
  },
  {
    source: 'Burp and others try them, so applications that read them are known',
    names: named('X-', 'Originating-IP Remote-IP Remote-Addr ProxyUser-Ip'),
  },
];

const targets: readonly Trusted[] = [
  {
    source:
      'Symfony, Laminas and IIS (CVE-2018-14773): https://symfony.com/blog/cve-2018-14773-remove-support-for-legacy-and-risky-http-headers',
    names: ['X-Original-URL', 'X-Rewrite-URL'],
  },
  { source: 'ingress-nginx and nginx examples of auth_request', names: ['X-Original-URI', 'X-Original-Method'] },
  {
    source: 'Azure Application Gateway: https://learn.microsoft.com/azure/application-gateway/rewrite-http-headers-url',
    names: ['X-Original-Host'],
  },
  {
    source: 'Web cache poisoning: https://portswigger.net/research/practical-web-cache-poisoning',
    names: ['X-Host', 'X-HTTP-Host-Override', 'X-Forwarded-Path', 'X-Forwarded-Context', 'X-Forwarded-Scheme'],
  },
  {
    source: 'WSGI applications such as Radicale: https://radicale.org/v3.html#reverse-proxy',
    names: ['X-Script-Name'],
  },
  {
    source: 'X-Forwarded-* of Apache, Spring, Traefik and ASP.NET',
    names: named('X-Forwarded-', 'Method Uri Prefix Ssl Server Protocol By Https Proto-Version Original-Host'),
  },
  {
    source: 'IIS, Rack (Rack::Request) and Werkzeug',
    names: ['Front-End-Https', 'X-Url-Scheme'],
  },
  { source: 'httpoxy (CVE-2016-5385): https://httpoxy.org/', names: ['Proxy'] },
];

/** Headers that only a proxy may set. */
export const trustedHeaders: readonly Trusted[] = [...identities, ...certificates, ...addresses, ...targets];

const all = [...new Set(trustedHeaders.flatMap(({ names }) => names))];

/** Their names, without those that the proxy itself sets. */
export function deletedHeaders(set: readonly string[]): readonly string[] {
  const own = new Set(set.map((name) => name.toLowerCase()));
  return all.filter((name) => !own.has(name.toLowerCase()));
}

/** The same, shorter, for a proxy that knows wildcards: `X-Vouch-*` is all names that begin with X-Vouch-. */
export function deletedPatterns(): readonly string[] {
  const prefixes = ['X-Forwarded-', ...trustedHeaders.flatMap((each) => each.prefixes ?? [])];
  const isCovered = (name: string) => prefixes.some((prefix) => name.toLowerCase().startsWith(prefix.toLowerCase()));
  return [...prefixes.map((prefix) => `${prefix}*`), ...all.filter((name) => !isCovered(name))];
}
