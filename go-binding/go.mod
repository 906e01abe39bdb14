module github.com/hearthd/hearth/go-binding

go 1.24
