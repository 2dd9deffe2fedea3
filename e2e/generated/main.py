import sys
import openapi_client
from openapi_client import AuthApi, AuthLoginRequest

url, password = sys.argv[1:]
client = openapi_client.ApiClient(openapi_client.Configuration(host=url + "/api/v1"))
auth = AuthApi(client)
signed_in = auth.auth_login_without_preload_content(AuthLoginRequest(password=password))
client.cookie = "; ".join(line.split(";")[0] for line in signed_in.headers.getlist("Set-Cookie"))
own = auth.auth_me().session.id
sessions = auth.auth_sessions_list().sessions
other = next(session.id for session in sessions if session.id != own)
revoked = auth.auth_sessions_revoke(other).revoked
print(auth.auth_login(AuthLoginRequest(password=password)).authenticated, len(sessions), revoked)
