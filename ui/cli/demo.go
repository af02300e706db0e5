package cli

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"bulkhead/examples"
)

func (a *app) demoCommand() *cobra.Command {
	var tour bool
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run the example shop: on the screen, or as a tour where there is no terminal",
		Long: `Unpack the example shop and run it on the screen. Where there is no terminal, or with --tour: bring it up, edit a
file and time it until the new code answers, kill one service and print who noticed, and take everything down again.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, in := terminal(a.parts.Stdin)
			_, out := terminal(a.parts.Stdout)
			if in && out && !tour {
				return a.demo(cmd)
			}
			return a.tour(cmd.Context())
		},
	}
	c.Flags().BoolVar(&tour, "tour", false, "the tour, though there is a terminal")
	return c
}

// demo shows the shop on the screen. Its folder stays, so that a person can edit in it; the next demo begins with the shop as shipped.
func (a *app) demo(cmd *cobra.Command) error {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	dir := filepath.Join(cache, "bulkhead", "shop")
	_, err = goVersion(cmd.Context())
	if err := unpack(dir, err == nil); err != nil {
		return fmt.Errorf("demo: %w; remove or empty the folder", err)
	}
	if _, err := a.shop(dir, "shop"); err != nil {
		return err
	}
	fmt.Fprintf(a.parts.Stdout, "The shop is in %s: edit a file there and save.\n", dir) // stays to be read when the screen is gone
	return a.up(cmd, &upFlags{}, nil)
}

func unpack(dir string, hasGo bool) error {
	if hasGo {
		return examples.UnpackShop(dir)
	}
	return examples.UnpackShopWithoutGo(dir)
}

// shop makes the shop in dir the project that verbs work on, on ports that are free, and returns the gateway's.
func (a *app) shop(dir, name string) (gateway int, err error) {
	// What is set for another project has no say here.
	env := slices.DeleteFunc(slices.Clone(a.parts.Environ), func(s string) bool { return strings.HasPrefix(s, "COMPOSE_") })
	ports := map[string]int{}
	for _, p := range []struct {
		name string
		port int
	}{{"SHOP_WEB_PORT", 8080}, {"SHOP_GATEWAY_PORT", 8081}} {
		port := p.port
		if set, err := strconv.Atoi(a.env[p.name]); err == nil {
			port = set
		} else if port, err = freePort(port); err != nil {
			return 0, fmt.Errorf("find a free port for the shop: %w", err)
		}
		ports[p.name] = port
		env = append(env, fmt.Sprintf("%s=%d", p.name, port))
	}
	a.parts.Environ, a.env = env, environ(env)
	a.shared.files, a.shared.dir, a.shared.envFiles, a.shared.profiles = []string{filepath.Join(dir, "compose.yaml")}, dir, nil, nil
	if a.shared.name == "" {
		a.shared.name = name
	}
	return ports["SHOP_GATEWAY_PORT"], nil
}

// freePort gives the port if it is free, else another one that is.
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
