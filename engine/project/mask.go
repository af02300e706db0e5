package project

import (
	"regexp"
	"strings"
	"sync"
)

// Hidden stands in the place of what looks like a secret.
const Hidden = "***"

var (
	// secretName finds names whose values are secrets.
	secretName = regexp.MustCompile(
		`(?i)pass|pwd|secret|token|key|credential|auth|private|dsn|cookie|(?:^|[_.-])pin(?:$|[_.-])`)
	// namedSecret finds such a name and its value inside of a text.
	namedSecret = regexp.MustCompile(
		`(?i)([\w-]*(?:pass|pwd|secret|token|key|credential|auth|private|dsn)[\w-]*[=: ]\s*)[^\s\]]+`)
	// urlPassword finds the password of an address.
	urlPassword = regexp.MustCompile(`(://[^:/@\s]*):[^@\s]+@`)
	variable    = regexp.MustCompile(`^[A-Za-z_][\w.]*$`)
	// shapes are secrets by what they look like: private keys, and tokens of services with prefixes
	// that are well known.
	shapes = whenUsed(`-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)` +
		`|\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abeprs]-[\w-]{10,}|[rs]k_(?:live|test)_\w{10,}|sk-[\w-]{20,}` +
		`|(?:AKIA|ASIA)[0-9A-Z]{16}|AIza[\w-]{30,}|ya29\.[\w-]{20,}|npm_[A-Za-z0-9]{30,}|dckr_pat_[\w-]{20,}|pypi-[\w-]{20,}|hvs\.[\w-]{20,}` +
		`|SG\.[\w-]{16,}\.[\w-]{16,}|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*)`)
)

// whenUsed is a pattern that is compiled when it is used first: most runs have nothing to hide.
func whenUsed(pattern string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
}

// MaskValue hides what may be a secret in the value of a name: all of it where the name says so,
// else what has the shape of one.
func MaskValue(name, value string) string {
	switch {
	case value == "":
		return value
	case secretName.MatchString(name):
		return Hidden
	}
	return MaskText(value)
}

// MaskText hides what has the shape of a secret in a text: passwords of addresses, private keys,
// tokens, and what stands behind a name that says so, as in NAME=value.
func MaskText(text string) string {
	text = shapes().ReplaceAllString(text, Hidden)
	text = urlPassword.ReplaceAllString(text, "$1:"+Hidden+"@")
	if name, value, ok := strings.Cut(text, "="); ok && secretName.MatchString(name) && value != "" &&
		variable.MatchString(name) {
		return name + "=" + Hidden
	}
	return namedSecret.ReplaceAllString(text, "${1}"+Hidden)
}
