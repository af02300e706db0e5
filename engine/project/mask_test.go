package project

import "testing"

func TestSecretsAreMaskedByNameAndByShape(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"DB_PASSWORD", "x", Hidden}, {"PGPASS2", "x", Hidden}, {"PWD_X", "x", Hidden},
		{"DSN", "x", Hidden}, {"PIN", "1234", Hidden},
		{"CARD_PIN", "1234", Hidden}, {"AWS_SECRET_ACCESS_KEY", "x", Hidden},
		{"PRIVATE", "x", Hidden}, {"auth_token", "x", Hidden}, {"MY_CREDENTIALS", "x", Hidden},
		{"SPINNER", "dots", "dots"}, {"PORT", "8080", "8080"}, {"EMPTY_TOKEN", "", ""},
		{"DATABASE_URL", "postgres://u:hunter2@h/db", "postgres://u:" + Hidden + "@h/db"},
		{"A", "ghp_abcdefghijklmnopqrstuvwxyz0123", Hidden}, {"A", "use AKIAIOSFODNN7EXAMPLE here",
			"use " + Hidden + " here"},
		{"A", "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\n", Hidden + "\n"},
		{"A", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-def", Hidden}, {"A", "xoxb-1234567890-abc", Hidden},
		{"", "NPM_TOKEN=x", "NPM_TOKEN=" + Hidden}, {"", "--password=hunter2 --level=1",
			"--password=" + Hidden + " --level=1"},
		{"", "echo hello", "echo hello"},
	} {
		if got := MaskValue(c.name, c.value); got != c.want {
			t.Errorf("%s=%q: %q, want %q", c.name, c.value, got, c.want)
		}
	}
}
