package build

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/moby/buildkit/util/staticfs"
	"github.com/tonistiigi/fsutil"
	"github.com/tonistiigi/fsutil/types"

	"bulkhead/engine/container"
	"bulkhead/engine/hostfile"
)

// maxDockerfile bounds what is read as a Dockerfile; the largest real ones are some 100 kB.
const maxDockerfile = 8 << 20

// input is what a build reads from this machine.
type input struct {
	remote  string    // URL of the context; empty where it is a folder
	dir     string    // folder of the context; empty where there is none
	context fsutil.FS // of dir; nil where there is none

	// The Dockerfile. Where it lies in a remote context only name is set.
	file   string // its path; empty for an inline one
	name   string // as the builder knows it
	text   []byte
	ignore []byte // its own ignore file, <Dockerfile>.dockerignore; nil where there is none
}

// remoteContext matches contexts that the builder fetches by itself.
var remoteContext = regexp.MustCompile(`^(https?://|git://|git@|ssh://|github\.com/)`)

// resolve reads the Dockerfile of a request and checks that the context is there.
func resolve(r container.BuildRequest) (*input, error) {
	in := &input{}
	switch {
	case remoteContext.MatchString(r.Context):
		in.remote = r.Context
	case r.Context == "":
		if r.DockerfileInline == "" && !filepath.IsAbs(r.Dockerfile) {
			return nil, errors.New("no build context: give one, or an inline Dockerfile")
		}
	default:
		folder, err := openFolder(r.Within, r.Context)
		if err != nil {
			return nil, fmt.Errorf("build context: %w", err)
		}
		in.dir, in.context = r.Context, folder
	}

	if r.DockerfileInline != "" {
		in.name, in.text = "Dockerfile", []byte(r.DockerfileInline)
		return in, nil
	}
	name := r.Dockerfile
	if name == "" {
		name = "Dockerfile"
	}
	if in.remote != "" && !filepath.IsAbs(name) {
		in.name = name
		return in, nil
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(in.dir, name)
	}
	in.file, in.name = name, filepath.Base(name)
	var err error
	switch in.text, err = readSmall(name); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, container.WithRemedy(fmt.Errorf("%s is not there", name),
			"write it, or name another one with build.dockerfile")
	case err != nil:
		return nil, fmt.Errorf("dockerfile: %w", err)
	}
	if in.ignore, err = readSmall(name + ".dockerignore"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("ignore file: %w", err)
	}
	return in, nil
}

// contextFS is a folder whose files are read beneath it: what a container that
// has the folder mounted puts into a file's place while the builder reads cannot
// lead out of it, nor hold the build up.
type contextFS struct {
	fsutil.FS
	root *os.Root
}

// openFolder opens a folder of a build. Where it lies in within, no link leads
// out of that on the way to it. The root is closed with the last use of it.
func openFolder(within, path string) (fsutil.FS, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !st.IsDir() {
		return nil, fmt.Errorf("%s is not a folder", path)
	}
	root, err := hostfile.OpenRoot(within, path)
	if err != nil {
		return nil, err
	}
	tree, err := fsutil.NewFS(path)
	return contextFS{FS: tree, root: root}, err
}

// Open opens a regular file.
func (c contextFS) Open(name string) (io.ReadCloser, error) {
	return hostfile.OpenIn(c.root, strings.TrimPrefix(filepath.Clean(name), string(filepath.Separator)))
}

func readSmall(path string) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", path)
	}
	if st.Size() > maxDockerfile {
		return nil, fmt.Errorf("%s has %d bytes, more than the %d of a Dockerfile", path, st.Size(),
			maxDockerfile)
	}
	return hostfile.Read(path, maxDockerfile)
}

// dockerfileFS holds the Dockerfile and its ignore file and nothing else, so that the folder they
// lie in is not walked, and a Dockerfile that is a link is found.
func (in *input) dockerfileFS() fsutil.FS {
	only := staticfs.NewFS()
	only.Add(in.name, contentStat(in.text), in.text)
	if in.ignore != nil {
		only.Add(in.name+".dockerignore", contentStat(in.ignore), in.ignore)
	}
	return only
}

// contentStat derives the time of change from the content. The engine keeps a copy of what it was
// sent and asks only for files whose size or time differ: equal content must not travel twice, and
// other content of equal size must.
func contentStat(data []byte) *types.Stat {
	sum := sha256.Sum256(data)
	return &types.Stat{Mode: 0o644, ModTime: int64(binary.BigEndian.Uint64(sum[:8]) >> 2)}
}

// sharedKey names the engine's copy of the context. Builds of one folder that read different parts
// of it keep apart copies: with one for all, each build would delete what the other had sent.
func (in *input) sharedKey(r container.BuildRequest) string {
	host, err := os.Hostname()
	if err != nil {
		host = "" // one name less in the key; it only distinguishes machines that share an engine
	}
	file := in.file
	if file == "" {
		file = "inline " + r.Service
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{host, in.dir, file, r.Target}, "\x00")))
	return fmt.Sprintf("%x", sum)
}
