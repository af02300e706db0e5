// Flood writes numbered lines of 200 bytes at a steady pace once it gets SIGUSR1, and then waits
// for its end: what the flood test's containers run. Usage: flood LINES-PER-SECOND SECONDS.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

const size = 200

func main() {
	sigs := make(chan os.Signal, 1)
	signal.Notify(sigs, syscall.SIGUSR1, syscall.SIGTERM)
	perSecond, err1 := strconv.Atoi(os.Args[1])
	seconds, err2 := strconv.Atoi(os.Args[2])
	if err1 != nil || err2 != nil {
		fmt.Fprintln(os.Stderr, "usage: flood LINES-PER-SECOND SECONDS")
		os.Exit(2)
	}
	levels := [...]string{"INFO", "INFO", "INFO", "DEBUG", "INFO", "WARN", "INFO", "INFO"}
	fmt.Println("ready")
	for sig := range sigs {
		if sig == syscall.SIGTERM {
			return
		}
		var buf []byte
		began, n := time.Now(), 0
		for n < perSecond*seconds {
			due := min(int(time.Since(began).Seconds()*float64(perSecond))+1, perSecond*seconds)
			for buf = buf[:0]; n < due; n++ {
				start := len(buf)
				buf = fmt.Appendf(buf, "%08d %-5s request=%d path=/orders/%d took=%dms msg=\"", n,
					levels[n%len(levels)], n*7919, n%977, n%250)
				for len(buf)-start < size-2 {
					buf = append(buf, "order accepted and handed to the warehouse "[(len(buf)-start)%43])
				}
				buf = append(buf, "\"\n"...)
			}
			if _, err := os.Stdout.Write(buf); err != nil {
				os.Exit(1)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}
