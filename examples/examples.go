// Package examples carries the shop, a Compose project that bulkhead can show
// itself with, inside the program. The folders beside this file are Compose
// projects that run as they stand.
package examples

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// The parts are named one by one, because bin holds what a build on this
// machine left there. A test compares the list with the folder.
//
//go:embed shop/compose.yaml shop/compose.bulkhead.yaml shop/Dockerfile shop/.dockerignore shop/.gitignore shop/README.md
//go:embed shop/internal shop/web shop/gateway shop/catalog shop/cart shop/orders shop/payments shop/loadgen
var files embed.FS

// withGo is the part of the shop that wants a Go toolchain on the host.
const withGo = "compose.bulkhead.yaml"

// marker is the file that tells an unpacked shop from a folder of somebody's.
const marker = ".bulkhead-shop.json"

// goMod makes the copy a module of its own. It has none in this repository,
// where it is part of the root module: the import paths are the same in both.
const goMod = "module bulkhead/examples/shop\n\ngo 1.26\n"

// ErrNotEmpty says that the folder to unpack into holds other things.
var ErrNotEmpty = errors.New("the folder is not empty and holds no shop that was unpacked before")

// Shop is the shop's folder: what is in the repository, without a go.mod and
// without built programs.
func Shop() fs.FS {
	shop, err := fs.Sub(files, "shop")
	if err != nil {
		panic(err) // the name is a constant and valid
	}
	return shop
}

// UnpackShop writes the shop to dir, which is made when it is missing, with a
// go.mod of its own. A folder that holds an earlier unpacking is brought back to
// the shop as shipped: files that were edited are overwritten, files that an
// older version had are removed, everything else (built programs, say) stays.
// Files that are the same already are not touched. Any other folder that is not
// empty is refused with ErrNotEmpty.
func UnpackShop(dir string) error { return unpack(dir, true) }

// UnpackShopWithoutGo is UnpackShop for a machine without a Go toolchain: it
// leaves compose.bulkhead.yaml out, so that the programs are built in the golang
// image.
func UnpackShopWithoutGo(dir string) error { return unpack(dir, false) }

func unpack(dir string, hasGo bool) error {
	want, err := content(hasGo)
	if err != nil {
		return fmt.Errorf("unpack the shop: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("unpack the shop: %w", err)
	}
	before, err := unpacked(dir)
	if err != nil {
		return fmt.Errorf("unpack the shop into %s: %w", dir, err)
	}
	// The marker comes first: an unpacking that was cut short can be repeated.
	if err := mark(dir, append(before, slices.Collect(maps.Keys(want))...)); err != nil {
		return fmt.Errorf("unpack the shop: %w", err)
	}
	for _, name := range before {
		if _, still := want[name]; still {
			continue
		}
		if err := os.Remove(filepath.Join(dir, filepath.FromSlash(name))); err != nil &&
			!errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("unpack the shop: %w", err)
		}
	}
	for name, data := range want {
		if err := write(filepath.Join(dir, filepath.FromSlash(name)), data); err != nil {
			return fmt.Errorf("unpack the shop: %w", err)
		}
	}
	return nil
}

// content is what an unpacked shop holds: slash paths and their text.
func content(hasGo bool) (map[string][]byte, error) {
	want := map[string][]byte{"go.mod": []byte(goMod)}
	shop := Shop()
	err := fs.WalkDir(shop, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || name == withGo && !hasGo {
			return err
		}
		want[name], err = fs.ReadFile(shop, name)
		return err
	})
	return want, err
}

// unpacked lists the files that an earlier unpacking wrote to dir: none when dir
// is empty, ErrNotEmpty when it is somebody's.
func unpacked(dir string) ([]string, error) {
	data, err := os.ReadFile(filepath.Join(dir, marker))
	if errors.Is(err, fs.ErrNotExist) {
		entries, err := os.ReadDir(dir)
		if err == nil && len(entries) > 0 {
			err = ErrNotEmpty
		}
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	var names []string
	if err := json.Unmarshal(data, &names); err != nil {
		return nil, fmt.Errorf("%s: %w", marker, err)
	}
	// The list decides what is removed, so it must not lead out of dir.
	return slices.DeleteFunc(names, func(name string) bool {
		return !filepath.IsLocal(filepath.FromSlash(name))
	}), nil
}

func mark(dir string, names []string) error {
	slices.Sort(names)
	data, err := json.MarshalIndent(slices.Compact(names), "", "  ")
	if err != nil {
		return err
	}
	return write(filepath.Join(dir, marker), append(data, '\n'))
}

// write puts data at path unless it is there already: a file that stays as it
// was starts no build.
func write(path string, data []byte) error {
	if now, err := os.ReadFile(path); err == nil && bytes.Equal(now, data) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}
