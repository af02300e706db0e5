package cli

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"bulkhead/engine/container"
)

type portVerb struct {
	target
	protocol string
}

func (v *portVerb) command() *cobra.Command {
	c := &cobra.Command{
		Use:               "port SERVICE [PORT]",
		Short:             "Print where a port of a service is published, or all of its ports",
		Args:              between(1, 2, "a service, and a port of it or none"),
		ValidArgsFunction: v.app.loader.completeOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			port := 0
			if len(args) > 1 {
				n, err := strconv.ParseUint(args[1], 10, 16)
				if err != nil || n == 0 {
					return usagef("port: %s: it is not a port; write a number up to 65535", args[1])
				}
				port = int(n)
			} else if !cmd.Flags().Changed("protocol") {
				v.protocol = ""
			}
			if protocols := []string{"", "tcp", "udp", "sctp"}; !slices.Contains(protocols, strings.ToLower(v.protocol)) {
				return usagef("port: --protocol %s: it is not known; write tcp, udp or sctp", v.protocol)
			}
			v.service, v.oneOffs = args[0], true
			return v.run(cmd.Context(), port)
		},
	}
	c.Flags().StringVar(&v.protocol, "protocol", "tcp", "`tcp` or udp")
	completeWords(c, "protocol", "tcp", "udp")
	v.addIndex(c)
	return c
}

func (v *portVerb) run(ctx context.Context, port int) error {
	s, err := v.one(ctx)
	if err != nil {
		return fmt.Errorf("port: %w", err)
	}
	out, found := v.app.console.stdout, false
	var others []string
	for _, p := range s.Ports {
		others = append(others, fmt.Sprintf("%d/%s", p.Target, p.Protocol))
		if v.protocol != "" && p.Protocol != strings.ToLower(v.protocol) || port != 0 && p.Target != port {
			continue
		}
		if port != 0 {
			_, err := fmt.Fprintln(out, hostPort(p))
			return err
		}
		found = true
		if _, err := fmt.Fprintf(out, "%d/%s -> %s\n", p.Target, p.Protocol, hostPort(p)); err != nil {
			return err
		}
	}
	if port != 0 && !found {
		return fmt.Errorf("no port %d/%s for container %s: %s", port, v.protocol, s.Name,
			strings.Join(others, ", "))
	}
	return nil
}

func hostPort(p container.SummaryPort) string {
	return net.JoinHostPort(p.Host, strconv.Itoa(p.Published))
}
