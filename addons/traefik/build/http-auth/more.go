package auth

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// CheckSecret says whether a password is the one behind a stored secret (MD5, SHA1 or bcrypt).
func CheckSecret(password, secret string) bool {
	chosen := compareFuncs[0].compare
	for _, known := range compareFuncs[1:] {
		if strings.HasPrefix(secret, known.prefix) {
			chosen = known.compare
		}
	}
	return chosen([]byte(secret), []byte(password)) == nil
}

// RequireAuthStale asks again with a fresh nonce and says that the old one, not the password, was refused.
func (a *DigestAuth) RequireAuthStale(w http.ResponseWriter, _ *http.Request) {
	nonce := RandomKey()
	a.mutex.Lock()
	a.clients[nonce] = &digest_client{last_seen: time.Now().UnixNano()}
	a.mutex.Unlock()
	headers := a.Headers.V()
	w.Header().Set(headers.Authenticate, fmt.Sprintf(
		`Digest realm="%s", nonce="%s", opaque="%s", algorithm="MD5", qop="auth", stale="true"`,
		a.Realm, nonce, a.Opaque,
	))
	http.Error(w, headers.UnauthResponse, headers.UnauthCode)
}
