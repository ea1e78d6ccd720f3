package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// own gives folders to a user. What lies in them is his already: he has made it.
func own(arguments []string) error {
	if len(arguments) < 2 {
		return fmt.Errorf("own UID:GID FOLDER...")
	}
	left, right, _ := strings.Cut(arguments[0], ":")
	uid, err := strconv.Atoi(left)
	if err != nil {
		return fmt.Errorf("own: %s: write the numbers UID:GID", arguments[0])
	}
	gid, err := strconv.Atoi(right)
	if err != nil {
		return fmt.Errorf("own: %s: write the numbers UID:GID", arguments[0])
	}
	for _, folder := range arguments[1:] {
		found, err := os.Stat(folder)
		if err != nil {
			return err
		}
		held, ok := found.Sys().(*syscall.Stat_t)
		if !found.IsDir() || !ok {
			return fmt.Errorf("own: %s: is no folder", folder)
		}
		if int(held.Uid) == uid && int(held.Gid) == gid {
			continue
		}
		if err := os.Chown(folder, uid, gid); err != nil {
			return err
		}
		fmt.Printf("%s: now of %d:%d\n", folder, uid, gid)
	}
	return nil
}
