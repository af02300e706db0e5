package build

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/config/credentials"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/auth/authprovider"
	"github.com/moby/buildkit/session/filesync"
	"github.com/moby/buildkit/session/secrets/secretsprovider"
	"github.com/moby/buildkit/session/sshforward/sshprovider"
	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/util/entitlements"
	"github.com/tonistiigi/fsutil"
	"github.com/tonistiigi/fsutil/types"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"bulkhead/engine/container"
)

// namedContexts is the capability that a Dockerfile frontend needs for additional_contexts.
const namedContexts = "moby.buildkit.frontend.contexts"

// capabilities are what differs between the engines that have BuildKit.
type capabilities struct {
	// modern is BuildKit 0.11 (Engine 23) and later, recognized by its answer to
	// the call Info. Older ones take unknown attributes and ignore them in silence.
	modern      bool
	hostGateway string // address that "host-gateway" stands for; empty where the engine names none
}

// buildkit makes the image with BuildKit. A connection that turns out broken is made again once.
func (b *Builder) buildkit(
	ctx context.Context, r container.BuildRequest, in *input, rec *recorder,
) (string, []string, error) {
	for try := 1; ; try++ {
		bk, caps, err := b.connect(ctx)
		if err == nil {
			var digest string
			var notices []string
			digest, notices, err = b.solve(ctx, bk, caps, r, in, rec)
			if err == nil {
				return digest, notices, nil
			}
		}
		if ctx.Err() != nil || !broke(err) {
			return "", nil, err
		}
		b.disconnect(bk)
		if try == 2 {
			return "", nil, fmt.Errorf("%w: %w", container.ErrBuilderUnavailable, clean(err))
		}
		rec.reset()
	}
}

// broke says of an error whether the connection broke, of a call whose own context goes on. Another
// build on the same client may have met that before and closed it, which gRPC calls a cancelled call.
func broke(err error) bool {
	switch status.Code(rootStatus(err)) {
	case codes.Unavailable, codes.Canceled:
		return true
	}
	return false
}

// rootStatus finds the error that gRPC made in a chain of them.
func rootStatus(err error) error {
	var st interface{ GRPCStatus() *status.Status }
	if errors.As(err, &st) {
		return st.GRPCStatus().Err()
	}
	return err
}

// connect returns the client that all builds share, and what its engine can do.
func (b *Builder) connect(ctx context.Context) (*client.Client, *capabilities, error) {
	b.mu.Lock()
	bk, caps := b.bk, b.caps
	if b.closed {
		b.mu.Unlock()
		return nil, nil, container.ErrBuilderClosed
	}
	if bk == nil {
		// New opens no connection yet: that happens at the first call.
		made, err := client.New(context.WithoutCancel(ctx), "",
			client.WithContextDialer(func(ctx context.Context, _ string) (conn net.Conn, err error) {
				defer recovered(&err) // grpc calls it on a goroutine of its own
				return b.opt.Dial(ctx, "/grpc", "h2c", nil)
			}), client.WithSessionDialer(func(ctx context.Context, proto string,
				meta map[string][]string) (conn net.Conn, err error) {
				defer recovered(&err)
				return b.opt.Dial(ctx, "/session", proto, meta)
			}))
		if err != nil {
			b.mu.Unlock()
			return nil, nil, fmt.Errorf("buildkit client: %w", err)
		}
		bk, b.bk = made, made
	}
	b.mu.Unlock()
	if caps != nil {
		return bk, caps, nil
	}

	caps = &capabilities{modern: true}
	if _, err := bk.Info(ctx); err != nil {
		if status.Code(rootStatus(err)) != codes.Unimplemented {
			return bk, nil, err
		}
		caps.modern = false
	}
	workers, err := bk.ListWorkers(ctx)
	switch {
	case err == nil && len(workers) > 0:
		caps.hostGateway = workers[0].Labels["org.mobyproject.buildkit.worker.moby.host-gateway-ip"]
	case err != nil && broke(err):
		return bk, nil, err
	}
	b.mu.Lock()
	if b.bk == bk {
		b.caps = caps
	}
	b.mu.Unlock()
	return bk, caps, nil
}

// disconnect drops a client, unless another build has done so already.
func (b *Builder) disconnect(bk *client.Client) {
	b.mu.Lock()
	if bk == nil || b.bk != bk {
		b.mu.Unlock()
		return
	}
	b.bk, b.caps = nil, nil
	b.mu.Unlock()
	bk.Close() // it is broken: an error of closing it helps nobody
}

// solve runs one build.
func (b *Builder) solve(
	ctx context.Context, bk *client.Client, caps *capabilities, r container.BuildRequest, in *input,
	rec *recorder,
) (string, []string, error) {
	opt, notices, err := b.options(r, in, caps)
	if err != nil {
		return "", nil, err
	}
	back, err := b.serve(ctx, opt)
	if err != nil {
		return "", nil, err
	}
	defer back.close()
	ch := make(chan *client.SolveStatus)
	read := make(chan error, 1)
	go func() {
		var failed error
		for st := range ch { // to its end, whatever happens: Solve waits for its reader
			if failed == nil {
				failed = recordSafely(rec, st)
			}
		}
		read <- failed
	}()
	var res *client.SolveResponse
	if r.Check {
		res, err = lintDockerfile(ctx, bk, opt, ch)
	} else {
		res, err = bk.Solve(ctx, nil, *opt, ch)
	}
	failed := <-read
	if err != nil && back.why() != nil {
		return "", nil, back.why()
	}
	if err != nil {
		return "", nil, b.explain(r, in, rec, err)
	}
	if failed != nil {
		return "", nil, failed
	}
	digest := res.ExporterResponse[exptypes.ExporterImageDigestKey]
	if digest == "" {
		digest = res.ExporterResponse[exptypes.ExporterImageConfigDigestKey]
	}
	return digest, notices, nil
}

// serve opens the connection on which the engine asks back, and sets it in opt.
func (b *Builder) serve(ctx context.Context, opt *client.SolveOpt) (*callback, error) {
	for _, e := range slices.Concat(opt.CacheImports, opt.CacheExports) {
		if e.Type == "local" {
			return &callback{}, nil // BuildKit's client locks and serves cache folders on its own session alone
		}
	}
	s, err := session.NewSession(ctx, opt.SharedKey)
	if err != nil {
		return nil, fmt.Errorf("build session: %w", err)
	}
	dirs := filesync.StaticDirSource{}
	for name, folder := range opt.LocalMounts {
		if dirs[name], err = fsutil.NewFilterFS(folder, &fsutil.FilterOpt{Map: ownedByRoot}); err != nil {
			return nil, fmt.Errorf("build context: %w", err)
		}
	}
	c, err := openCallback(ctx, b.opt.Dial, s.ID(), opt.SharedKey,
		append(opt.Session, filesync.NewFSSyncProvider(dirs)))
	if err != nil {
		return nil, err
	}
	opt.SharedSession, opt.SessionPreInitialized = s, true
	return c, nil
}

// ownedByRoot hides who owns the files on this machine: it would change the image.
func ownedByRoot(_ string, st *types.Stat) fsutil.MapResult {
	st.Uid, st.Gid = 0, 0
	return fsutil.MapResultKeep
}

func recordSafely(rec *recorder, st *client.SolveStatus) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("build progress: panic: %v\n%s", p, debug.Stack())
		}
	}()
	rec.status(st)
	return nil
}

// explain distinguishes the errors of a build, of the engine and of the connection.
func (b *Builder) explain(r container.BuildRequest, in *input, rec *recorder, err error) error {
	var missing *errdefs.UnsupportedFrontendCapError
	// Old engines send the error's text alone.
	if errors.As(err, &missing) || strings.Contains(err.Error(), "unsupported frontend capability "+
		namedContexts) {
		return fmt.Errorf(
			"%w: additional_contexts (%s) needs Engine 23.0 or later, or a first line \"# syntax=docker/dockerfile:1\" in the Dockerfile where the engine can pull that image", ErrUnsupported, strings.Join(slices.Sorted(maps.Keys(r.AdditionalContexts)), ", "))
	}
	if broke(err) {
		return err
	}
	return broken(r, in, rec, err)
}

// options translates a request for BuildKit.
func (b *Builder) options(
	r container.BuildRequest, in *input, caps *capabilities,
) (*client.SolveOpt, []string, error) {
	var notices []string
	if !caps.modern {
		if attests(r.Provenance) || attests(r.SBOM) {
			return nil, nil, fmt.Errorf("%w: provenance and sbom need Engine 23.0 or later", ErrUnsupported)
		}
		if r.ShmSize != 0 || len(r.Ulimits) > 0 {
			notices = append(notices,
				"build.shm_size and build.ulimits need Engine 23.0 or later: built without them")
		}
	}
	cfg, err := b.dockerConfig()
	if err != nil {
		notices = append(notices, err.Error()+": building without registry credentials and proxies")
	}

	opt := &client.SolveOpt{
		Frontend:      "dockerfile.v0",
		FrontendAttrs: map[string]string{},
		LocalMounts:   map[string]fsutil.FS{},
		SharedKey:     in.sharedKey(r),
		Exports:       []client.ExportEntry{{Type: "moby", Attrs: map[string]string{}}},
		Session: []session.Attachable{authprovider.NewDockerAuthProvider(authprovider.DockerAuthProviderConfig{
			AuthConfigProvider: authprovider.LoadAuthConfig(cfg),
		})},
	}
	if len(r.Tags) > 0 {
		opt.Exports[0].Attrs["name"] = strings.Join(r.Tags, ",")
	}
	sources(opt, in)
	if err := nameContexts(opt, r); err != nil {
		return nil, nil, err
	}
	if err := attributes(opt.FrontendAttrs, r, cfg, caps); err != nil {
		return nil, nil, err
	}
	if err := attach(opt, r); err != nil {
		return nil, nil, err
	}

	if opt.CacheImports, err = cacheEntries(r.CacheFrom, "cache_from"); err != nil {
		return nil, nil, err
	}
	if opt.CacheExports, err = cacheEntries(r.CacheTo, "cache_to"); err != nil {
		return nil, nil, err
	}
	allowed := slices.Clone(r.Entitlements)
	if r.Privileged {
		allowed = append(allowed, string(entitlements.EntitlementSecurityInsecure))
	}
	if r.Network == "host" {
		allowed = append(allowed, string(entitlements.EntitlementNetworkHost))
	}
	slices.Sort(allowed)
	opt.AllowedEntitlements = slices.Compact(allowed)
	return opt, notices, nil
}

// sources sets where context and Dockerfile come from.
func sources(opt *client.SolveOpt, in *input) {
	attrs := opt.FrontendAttrs
	attrs["filename"] = in.name
	if in.text != nil {
		opt.LocalMounts["dockerfile"] = in.dockerfileFS()
	}
	switch {
	case in.remote != "":
		attrs["context"] = in.remote
		if in.text != nil {
			attrs["dockerfilekey"] = "dockerfile" // else it is looked for in the remote context
		}
	case in.context != nil:
		opt.LocalMounts["context"] = in.context
	default:
		opt.LocalMounts["context"] = (&input{name: ".empty", text: []byte{}}).dockerfileFS()
	}
}

func nameContexts(opt *client.SolveOpt, r container.BuildRequest) error {
	for name, where := range r.AdditionalContexts {
		// A frontend without it hands the build on to that of the "# syntax=" line,
		// if there is one.
		opt.FrontendAttrs["frontend.caps"] = namedContexts + "+forward"
		if strings.HasPrefix(where, "oci-layout://") {
			return fmt.Errorf("%w: additional context %s: oci-layout", ErrUnsupported, name)
		}
		if strings.Contains(where, "://") || remoteContext.MatchString(where) {
			opt.FrontendAttrs["context:"+name] = where
			continue
		}
		folder, err := openFolder(r.Within, where)
		if err != nil {
			return fmt.Errorf("additional context %s: %w", name, err)
		}
		local := "named-" + name // cannot clash with "context" and "dockerfile"
		opt.LocalMounts[local] = folder
		opt.FrontendAttrs["context:"+name] = "local:" + local
	}
	return nil
}

// attributes fills in the frontend's attributes.
func attributes(
	attrs map[string]string, r container.BuildRequest, cfg *configfile.ConfigFile, caps *capabilities,
) error {
	for k, v := range proxies(r, cfg) {
		attrs["build-arg:"+k] = v
	}
	for k, v := range r.Labels {
		attrs["label:"+k] = v
	}
	if r.Target != "" {
		attrs["target"] = r.Target
	}
	if r.NoCache {
		attrs["no-cache"] = ""
	} else if len(r.NoCacheFilter) > 0 {
		attrs["no-cache"] = strings.Join(r.NoCacheFilter, ",")
	}
	if r.Pull {
		attrs["image-resolve-mode"] = "pull"
	}
	if len(r.Platforms) > 0 {
		attrs["platform"] = strings.Join(r.Platforms, ",")
	}
	if r.Network != "" && r.Network != "default" {
		attrs["force-network-mode"] = r.Network
	}
	if r.ShmSize > 0 {
		attrs["shm-size"] = strconv.FormatInt(r.ShmSize, 10)
	}
	var limits []string
	for _, name := range slices.Sorted(maps.Keys(r.Ulimits)) {
		limits = append(limits, fmt.Sprintf("%s=%d:%d", name, r.Ulimits[name][0], r.Ulimits[name][1]))
	}
	if limits != nil {
		attrs["ulimit"] = strings.Join(limits, ",")
	}
	for attr, v := range map[string]string{"attest:provenance": r.Provenance, "attest:sbom": r.SBOM} {
		switch {
		case !attests(v):
		case v == "true":
			attrs[attr] = ""
		default:
			attrs[attr] = v
		}
	}
	hosts, err := addHosts(r.ExtraHosts, caps)
	if hosts != "" {
		attrs["add-hosts"] = hosts
	}
	return err
}

func attests(v string) bool { return v != "" && v != "false" }

// proxies returns the build args, with the proxies of the docker config where they are unset.
func proxies(r container.BuildRequest, cfg *configfile.ConfigFile) map[string]string {
	all := maps.Clone(r.Args)
	if all == nil {
		all = map[string]string{}
	}
	for k, v := range cfg.ParseProxyConfig("default", nil) {
		// The frontend takes either case for the same proxy, and whichever it meets last.
		if _, set := r.Args[strings.ToLower(k)]; set {
			continue
		}
		if _, set := r.Args[strings.ToUpper(k)]; !set {
			all[k] = *v
		}
	}
	return all
}

func addHosts(hosts []string, caps *capabilities) (string, error) {
	var out []string
	for _, h := range hosts {
		// An IPv6 address holds colons, so "=" is looked for first.
		name, ip, ok := strings.Cut(h, "=")
		if !ok {
			name, ip, ok = strings.Cut(h, ":")
		}
		if !ok || name == "" {
			return "", fmt.Errorf("extra host %q: want name=address", h)
		}
		ip = strings.Trim(ip, "[]")
		if ip == "host-gateway" {
			if ip = caps.hostGateway; ip == "" {
				return "", container.WithRemedy(
					fmt.Errorf("%w: extra host %s: host-gateway in a build needs Engine 23.0 or later", ErrUnsupported, name), "give an address")
			}
		}
		if net.ParseIP(ip) == nil {
			return "", fmt.Errorf("extra host %s: %q is not an IP address", name, ip)
		}
		out = append(out, name+"="+ip)
	}
	return strings.Join(out, ","), nil
}

// attach adds what the build may ask this machine for while it runs.
func attach(opt *client.SolveOpt, r container.BuildRequest) error {
	if len(r.Secrets) > 0 {
		values, err := newSecretStore(r.Secrets)
		if err != nil {
			return err
		}
		opt.Session = append(opt.Session, secretsprovider.NewSecretProvider(values))
	}
	if len(r.SSH) == 0 {
		return nil
	}
	agents := make([]sshprovider.AgentConfig, len(r.SSH))
	for i, s := range r.SSH {
		agents[i] = sshprovider.AgentConfig{ID: s.ID, Paths: slices.Clone(s.Paths)}
	}
	provider, err := sshprovider.NewSSHAgentProvider(agents)
	if err != nil {
		return fmt.Errorf("ssh: %w", err)
	}
	opt.Session = append(opt.Session, provider)
	return nil
}

// cacheEntries reads "type=…,key=value" or a bare image reference.
func cacheEntries(specs []string, what string) ([]client.CacheOptionsEntry, error) {
	var out []client.CacheOptionsEntry
	for _, spec := range specs {
		if !strings.Contains(spec, "=") {
			out = append(out, client.CacheOptionsEntry{Type: "registry", Attrs: map[string]string{"ref": spec}})
			continue
		}
		fields, err := csv.NewReader(strings.NewReader(spec)).Read()
		if err != nil {
			return nil, fmt.Errorf("%s %q: %w", what, spec, err)
		}
		e := client.CacheOptionsEntry{Attrs: map[string]string{}}
		for _, f := range fields {
			k, v, ok := strings.Cut(f, "=")
			if !ok {
				return nil, fmt.Errorf("%s %q: %q is not key=value", what, spec, f)
			}
			if k == "type" {
				e.Type = v
			} else {
				e.Attrs[k] = v
			}
		}
		if e.Type == "" {
			return nil, fmt.Errorf("%s %q: type= is missing", what, spec)
		}
		out = append(out, e)
	}
	return out, nil
}

// dockerConfig reads the docker CLI's config. The config is usable also where an
// error comes with it.
func (b *Builder) dockerConfig() (*configfile.ConfigFile, error) {
	dir := b.opt.DockerConfigDir
	if dir == "" {
		dir = config.Dir()
	}
	cfg, err := config.Load(dir)
	if cfg == nil || err != nil {
		cfg = configfile.New(filepath.Join(dir, config.ConfigFileName))
	}
	if !cfg.ContainsAuth() {
		cfg.CredentialsStore = credentials.DetectDefaultStore(cfg.CredentialsStore)
	}
	return cfg, err
}
