package cli

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"bulkhead/engine/hostfile"
	"bulkhead/examples"
)

type demoVerb struct {
	app      *app
	textOnly bool // the tour, though there is a terminal
}

func (v *demoVerb) command() *cobra.Command {
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run the example shop: on the screen, or as a tour where there is no terminal",
		Long: `Unpack the example shop and run it on the screen. Where there is no terminal, or with --tour: bring it up, edit a
file and time it until the new code answers, kill one service and print who noticed, and take everything down again.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if v.app.would("run the example shop") {
				return nil
			}
			if v.app.console.interactive() && !v.textOnly {
				return v.screen(cmd.Context())
			}
			return v.tour(cmd.Context())
		},
	}
	v.app.addTakeOver(c)
	c.Flags().BoolVar(&v.textOnly, "tour", false, "the tour, though there is a terminal")
	return c
}

// screen shows the shop on the screen. Its folder stays, so that a person can edit in it; the next
// demo begins with the shop as shipped.
func (v *demoVerb) screen(ctx context.Context) error {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	dir := filepath.Join(cache, "bulkhead", "shop")
	// In a temporary folder anybody could have made one of this name before us, and what is in it runs.
	for _, own := range []string{filepath.Dir(dir), dir} {
		if err := hostfile.PrivateDir(own); err != nil {
			return fmt.Errorf("demo: %w; set HOME or XDG_CACHE_HOME to a folder of your own", err)
		}
	}
	_, err = goVersion(ctx)
	if err := unpack(dir, err == nil); err != nil {
		return fmt.Errorf("demo: %w; remove or empty the folder", err)
	}
	if _, err := v.shop(dir, "shop"); err != nil {
		return err
	}
	// stays to be read when the screen is gone
	fmt.Fprintf(v.app.console.stdout, "The shop is in %s: edit a file there and save.\n", dir)
	if v.app.tour != nil {
		v.app.screen = v.app.tour
	}
	if v.app.env.get("SHOP_WEAK") == "" { // the tour has it found and mended
		v.app.env.set(append(slices.Clone(v.app.env.lines), "SHOP_WEAK=1"))
	}
	up := (&upVerb{app: v.app}).command()
	up.SetContext(ctx)
	return up.RunE(up, nil)
}

func unpack(dir string, hasGo bool) error {
	if hasGo {
		return examples.UnpackShop(dir)
	}
	return examples.UnpackShopWithoutGo(dir)
}

// shop makes the shop in dir the project that verbs work on, on ports that are free, and returns the gateway's.
func (v *demoVerb) shop(dir, name string) (gateway int, err error) {
	// What is set for another project has no say here.
	env := slices.DeleteFunc(slices.Clone(v.app.env.lines), func(s string) bool {
		return strings.HasPrefix(s, "COMPOSE_")
	})
	ports := map[string]int{}
	for _, p := range []struct {
		name string
		port int
	}{{"SHOP_WEB_PORT", 8080}, {"SHOP_GATEWAY_PORT", 8081}} {
		port := p.port
		if set, err := strconv.Atoi(v.app.env.get(p.name)); err == nil {
			port = set
		} else if port, err = freePort(port); err != nil {
			return 0, fmt.Errorf("find a free port for the shop: %w", err)
		}
		ports[p.name] = port
		env = append(env, fmt.Sprintf("%s=%d", p.name, port))
	}
	v.app.env.set(env)
	v.app.loader.flags.trust = true // it is our own
	flags := &v.app.loader.flags
	flags.files, flags.dir, flags.envFiles,
		flags.profiles = []string{filepath.Join(dir, "compose.yaml")}, dir, nil, nil
	if flags.name == "" {
		flags.name = name
	}
	return ports["SHOP_GATEWAY_PORT"], nil
}

// freePort returns the port if it is free, else another one that is.
func freePort(port int) (int, error) {
	for _, p := range []int{port, 0} {
		l, err := net.Listen("tcp", ":"+strconv.Itoa(p))
		if err != nil && p != 0 {
			continue
		}
		if err != nil {
			return 0, err
		}
		defer l.Close()
		return l.Addr().(*net.TCPAddr).Port, nil
	}
	return port, nil
}
