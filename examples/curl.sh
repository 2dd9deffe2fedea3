#!/usr/bin/env bash
# The README's tour of the API against a running server. It ends at the first call that fails, with an exit code not 0.
#
#   examples/curl.sh
#   URL=http://localhost:8001 PASSWORD='your password' examples/curl.sh
set -euo pipefail

url=${URL:-http://localhost:8000}
password=${PASSWORD:-admin123}

# The cookie goes with this folder.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

# Below, the commands stand as they do in the README: this puts the address and the password in, the latter as JSON.
shopt -u patsub_replacement 2>/dev/null || true # bash 5.2 would take an & in them for what was found
curl() {
  local escaped=${password//\\/\\\\}
  escaped=${escaped//\"/\\\"}
  local words=("${@//http:\/\/localhost:8000/$url}")
  words=("${words[@]//admin123/$escaped}")
  command curl --silent --show-error --fail --write-out '\n' "${words[@]}"
}

# Sign in. The session cookie goes into cookies.txt.
curl -c cookies.txt -X POST "http://localhost:8000/api/v1/auth/login" \
     -H "Content-Type: application/json" \
     -d '{"password": "admin123"}'

# Who is signed in, from where, since when and until when
curl -b cookies.txt -X GET "http://localhost:8000/api/v1/client/profile"

# Whether the session is alive. This one may be asked by strangers too, and does not keep a session alive.
curl -b cookies.txt -X GET "http://localhost:8000/api/v1/auth/status"

# Hash a password for MASTER_PASSWORD_HASH
curl -b cookies.txt -X POST "http://localhost:8000/api/v1/auth/hash-password" \
     -H "Content-Type: application/json" \
     -d '{"password": "mynewpassword"}'

# Sign out. The session is over, for every copy of its cookie.
curl -b cookies.txt -c cookies.txt -X POST "http://localhost:8000/api/v1/auth/logout"
