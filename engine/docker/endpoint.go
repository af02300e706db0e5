package docker

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/moby/moby/client"

	"bulkhead/engine/container"
	"bulkhead/engine/hostfile"
)

// endpoint is where an engine answers.
type endpoint struct {
	context   string // "default" when none is chosen
	host      string // as written
	configDir string
	tls       *tls.Config // nil without TLS
	ssh       *sshDialer  // nil unless host is ssh://
}

// unix reports whether the engine answers on a socket of this machine, which a
// virtual machine may still be behind.
func (e endpoint) unix() bool { return strings.HasPrefix(e.host, "unix://") }

// near reports whether the engine answers without a network in between.
func (e endpoint) near() bool { return e.unix() || strings.HasPrefix(e.host, "npipe://") }

// findEndpoint chooses as the docker command does.
func findEndpoint(o Options) (endpoint, error) {
	e := endpoint{context: "default", configDir: o.ConfigDir}
	if e.configDir == "" {
		e.configDir = os.Getenv("DOCKER_CONFIG")
	}
	if e.configDir == "" {
		home, err := os.UserHomeDir()
		if err != nil { // cron and systemd set no HOME: the account has one all the same
			if me, lost := user.Current(); lost == nil {
				home = me.HomeDir
			}
		}
		e.configDir = filepath.Join(home, ".docker")
	}
	host, name := o.Host, o.Context
	if host == "" && name == "" {
		host = os.Getenv("DOCKER_HOST")
	}
	if host == "" && name == "" {
		name = os.Getenv("DOCKER_CONTEXT")
	}
	if host == "" && name == "" {
		var err error
		if name, err = currentContext(e.configDir); err != nil {
			return e, err
		}
	}
	switch {
	case host != "":
		e.host = host
	case name != "" && name != "default":
		e.context = name
		if err := e.readContext(); err != nil {
			return e, err
		}
		return e, e.useSSH()
	default:
		e.host = client.DefaultDockerHost
	}
	if err := e.tlsFromEnv(); err != nil {
		return e, err
	}
	return e, e.useSSH()
}

func (e *endpoint) useSSH() error {
	if !strings.HasPrefix(e.host, "ssh://") {
		return nil
	}
	u, err := url.Parse(e.host)
	if err != nil {
		return fmt.Errorf("docker host %q: %w", e.host, err)
	}
	e.ssh, err = newSSH(u)
	if err != nil {
		return fmt.Errorf("docker host %q: %w", e.host, err)
	}
	return nil
}

func currentContext(dir string) (string, error) {
	file := filepath.Join(dir, "config.json")
	b, err := hostfile.Read(file, hostfile.MaxOther)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the docker config: %w", err)
	}
	var c struct {
		CurrentContext string `json:"currentContext"`
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return "", container.WithRemedy(fmt.Errorf("read the docker config: %s: %w", file, err),
			"mend or remove the file")
	}
	return c.CurrentContext, nil
}

// readContext reads what `docker context create` wrote: a folder per context, named
// by the hash of its name.
func (e *endpoint) readContext() error {
	sum := sha256.Sum256([]byte(e.context))
	id := hex.EncodeToString(sum[:])
	file := filepath.Join(e.configDir, "contexts", "meta", id, "meta.json")
	b, err := hostfile.Read(file, hostfile.MaxOther)
	if errors.Is(err, fs.ErrNotExist) {
		return container.WithRemedy(fmt.Errorf("%w: docker context %q is not in %s",
			container.ErrNoEngine, e.context, e.configDir),
			"see `docker context ls`, or set DOCKER_CONTEXT=default")
	}
	if err != nil {
		return fmt.Errorf("read docker context %q: %w", e.context, err)
	}
	var meta struct {
		Endpoints map[string]struct {
			Host          string
			SkipTLSVerify bool
		}
	}
	if err := json.Unmarshal(b, &meta); err != nil {
		return fmt.Errorf("read docker context %q: %s: %w", e.context, file, err)
	}
	docker, ok := meta.Endpoints["docker"]
	if !ok || docker.Host == "" {
		return fmt.Errorf("docker context %q: %s names no docker host", e.context, file)
	}
	e.host = docker.Host
	if e.unix() || strings.HasPrefix(e.host, "npipe://") || strings.HasPrefix(e.host, "ssh://") {
		return nil
	}
	dir := filepath.Join(e.configDir, "contexts", "tls", id, "docker")
	if _, err := os.Stat(dir); err != nil && !docker.SkipTLSVerify {
		return nil
	}
	if e.tls, err = readTLS(dir, docker.SkipTLSVerify); err != nil {
		return fmt.Errorf("docker context %q: %w", e.context, err)
	}
	return nil
}

func (e *endpoint) tlsFromEnv() error {
	dir, verify := os.Getenv("DOCKER_CERT_PATH"), os.Getenv("DOCKER_TLS_VERIFY") != ""
	if dir == "" && !verify || !strings.HasPrefix(e.host, "tcp://") && !strings.HasPrefix(e.host, "https://") {
		return nil
	}
	if dir == "" {
		dir = e.configDir
	}
	var err error
	if e.tls, err = readTLS(dir, !verify); err != nil {
		return fmt.Errorf("docker host %s with DOCKER_CERT_PATH or DOCKER_TLS_VERIFY: %w", e.host, err)
	}
	return nil
}

// readTLS reads ca.pem, cert.pem and key.pem, each of which may be missing.
func readTLS(dir string, skipVerify bool) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: skipVerify}
	ca, err := hostfile.Read(filepath.Join(dir, "ca.pem"), hostfile.MaxOther)
	switch {
	case err == nil:
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(ca) {
			return nil, fmt.Errorf("%s holds no certificate", filepath.Join(dir, "ca.pem"))
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read the certificate authority: %w", err)
	}
	cert, err := readPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	switch {
	case err == nil:
		c.Certificates = []tls.Certificate{cert}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read the client certificate: %w", err)
	}
	return c, nil
}

func readPair(cert, key string) (tls.Certificate, error) {
	c, err := hostfile.Read(cert, hostfile.MaxOther)
	if err != nil {
		return tls.Certificate{}, err
	}
	k, err := hostfile.Read(key, hostfile.MaxOther)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(c, k)
}

// dockerConfig reads the docker command's config file; without one it is empty.
func (e endpoint) dockerConfig() (*configfile.ConfigFile, error) {
	conf, err := config.Load(e.configDir)
	if err != nil && !hostfile.Missing(err) { // a missing one is an empty one already, but below a file
		return nil, container.WithRemedy(fmt.Errorf("read the docker config: %w", err),
			"mend or remove the file")
	}
	return conf, nil
}
